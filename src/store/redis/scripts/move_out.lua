#!lua flags=allow-oom
-- move_out.lua - rows of the store for a move elsewhere, a page behind a place (store/transfer.h); and what is needed before.
-- ARGV: kind, place (two numbers, two texts), how many rows at most; or 'index', how far it is (two numbers): a page of walks
-- through requests and files, which have no order of their own: moq and mof give them one
-- Reply: {R_OK, place behind (two numbers, two texts), whether that is the end, {fields in their order}, ...}; of 'index' {R_OK, how
-- far (two numbers), whether that is the end}. An event is as events.lua has it.
-- with schedules.lua
local kind, pa, pb, one, two, most = A[1], N(A[2]), N(A[3]), A[4], A[5], N(A[6])
local rows, last = {}, true
local function add(...)
    rows[#rows + 1] = {...}
end
local function fields(key, ...)
    local v = call('HMGET', key, ...)
    for i = 1, select('#', ...) do
        v[i] = v[i] or ''
    end
    return v
end
-- Of those members of a set by name that are behind `one`, the next; each is then the place.
local function by_name(index, count, what)
    local names = call('ZRANGEBYLEX', P .. index, one == '' and '-' or '(' .. one, '+', 'LIMIT', 0, count)
    for _, name in ipairs(names) do
        what(name)
        one = name
    end
    last = #names < count
end
-- Likewise by number, behind pa.
local function by_number(index, count, what)
    local some = call('ZRANGEBYSCORE', P .. index, '(' .. I(pa), '+inf', 'WITHSCORES', 'LIMIT', 0, count)
    for i = 1, #some, 2 do
        what(some[i], N(some[i + 1]))
        pa = N(some[i + 1])
    end
    last = #some < 2 * count
end
-- Likewise by rank, from pa on: nobody writes meanwhile.
local function by_rank(index, count, what)
    local some = call('ZRANGE', P .. index, I(pa), I(pa + count - 1), 'WITHSCORES')
    for i = 1, #some, 2 do
        what(some[i], N(some[i + 1]))
    end
    pa, last = pa + #some / 2, #some < 2 * count
end
-- Jobs behind number `from`, by number: {id, number}.
local function jobs_behind(from, count)
    local found = {}
    for st = BLOCKED, EXPIRED do
        local some = call('ZRANGEBYSCORE', P .. 's:' .. st, '(' .. I(from), '+inf', 'WITHSCORES', 'LIMIT', 0, count)
        for i = 1, #some, 2 do
            found[#found + 1] = {some[i], N(some[i + 1])}
        end
    end
    table.sort(found, function(a, b) return a[2] < b[2] end)
    for i = #found, count + 1, -1 do
        found[i] = nil
    end
    return found
end
-- A long list of each of many: pa is the number of the one before, pb how far the list of the next one is, one its cursor.
local function scan(key, count)
    local page = call('HSCAN', key, one == '' and '0' or one, 'COUNT', count)
    one = page[1] == '0' and '' or page[1]
    return page[2]
end
local function schedule_ids()
    local ids = call('HVALS', P .. 'sdi')
    table.sort(ids)
    return ids
end

local out = {}
function out.service()
    if pa == 0 then
        local v = fields(P .. 'meta', 'mby', 'mwhy', 'mat')
        add(meta.mode, v[1], v[2], N(v[3]), meta.amax)
        pa = 1
    end
end
function out.limits()
    if pa <= 1 then
        pa = 1
        by_name('tenants', most, function(name)
            local t = read(P .. 'te:' .. name, TENANT)
            if t.ma + t.we > 0 then
                add(1, name, t.ma, t.we, 0, 1, 0)
            end
        end)
        if last then
            pa, one, last = 2, '', false
        end
        return
    end
    if pa == 2 then
        by_name('sites', most, function(name)
            local s = read(P .. 'si:' .. name, SITE)
            if s.ma + s.em > 0 then
                add(2, name, s.ma, 0, s.em, s.em > 0 and s.bu or 1, s.em > 0 and s.ta or 0)
            end
        end)
        if last then
            pa, one, last = 3, '', false
        end
        return
    end
    by_name('hooks', most, function(id)
        local v = fields(P .. 'wh:' .. id, 'ma', 'em', 'bu', 'ta')
        local emit = N(v[2])
        if N(v[1]) + emit > 0 then
            add(3, id, N(v[1]), 0, emit, emit > 0 and N(v[3]) or 1, emit > 0 and N(v[4]) or 0)
        end
    end)
end
function out.lanes()
    by_name('lanes', most, function(name)
        local l, v = read(P .. 'l:' .. name, LANE), fields(P .. 'l:' .. name, 'nby', 'nwhy', 'nat')
        add(name, l.ta, l.bu, l.bs, l.bf, l.bt, l.tr, l.fo, l.ow - 1, l.oa - 1, l.oe - 1, l.ob - 1, l.od - 1, l.oo - 1, l.pa, l.co,
            v[1], v[2], N(v[3]), l.bn, l.op - 1)
    end)
end
local function session_of(place)
    return string.match(place, '([^\n]*)$')
end
function out.sessions()
    by_name('sessions', most, function(place)
        local id = session_of(place)
        local v = fields(P .. 'ses:' .. id, 'site', 'pool', 'name', 'emit', 'burst', 'most', 'tat', 'used', 'ok', 'fails', 'locked',
                         'reason', 'refused', 'refusal', 'count', 'version', 'expires', 'print', 'created', 'updated', 'revision')
        local locked, refused = N(v[11]), N(v[13])
        add(id, v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10], locked, locked > 0 and v[12] or '', refused,
            refused > 0 and v[14] or '', call('GET', P .. 'sc:' .. id) or '', v[15], v[16], v[17], v[18], v[19], v[20], v[21])
    end)
end
-- each: of one entry of the hash, the others by name.
local function of_sessions(prefix, each)
    by_name('sessions', 20, function(place)
        local id, of = session_of(place), {}
        local all = call('HGETALL', P .. prefix .. id)
        for i = 1, #all, 2 do
            of[all[i]] = all[i + 1]
        end
        for i = 1, #all, 2 do
            each(id, all[i], all[i + 1], of)
        end
    end)
end
function out.rests()
    of_sessions('sr:', add)
end
function out.hours()
    of_sessions('so:', function(id, hour, n, of)
        local asked = string.match(hour, '^r(%d+)$')
        if not asked then
            add(id, hour, n, N(of['r' .. hour]))
        elseif not of[asked] then
            add(id, asked, 0, n)
        end
    end)
end
function out.marks()
    by_rank('marks', most, function(key, at)
        local v = fields(key, 'posts')
        local site, name, target, variant = string.match(string.sub(key, #P + 4), '^([^\n]*)\n([^\n]*)\n(.*)\n([^\n]*)$')
        add(site, name, target, variant, v[1], at)
    end)
end
local function key_hash(tenant, key)
    return key ~= '' and string.match(call('HGET', P .. 'bidem', tenant .. '\n' .. key) or '', '^(%x+)|') or ''
end
function out.batches()
    by_number('batches', most, function(id, n)
        local b = P .. 'b:' .. id
        local v = fields(b, 'te', 'na', 'se', 'st', 'sa', 'pl', 'gw', 'go', 'ik', 'rv', 'ca', 'ua', 'fa')
        local t = fields(b .. ':c', 't0', 't1')
        add(n, id, v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], t[1], t[2], v[9], key_hash(v[1], v[9]), v[10], v[11], v[12], v[13])
    end)
end
function out.calls()
    by_number('batches', most, function(id)
        for c = 0, 1 do
            local v = fields(P .. 'b:' .. id .. ':c', 'at' .. c, 'job' .. c, 'due' .. c, 'why' .. c)
            if v[1] ~= '' then
                add(id, c, v[1], v[2], v[3], v[4])
            end
        end
    end)
end
function out.adds()
    local id = call('ZRANGEBYSCORE', P .. 'batches', '(' .. I(pa), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if not id[1] then
        return
    end
    local all = scan(P .. 'b:' .. id[1] .. ':a', most)
    for i = 1, #all, 2 do
        local h, added = string.match(all[i + 1], '^(%x+)|(%d+)')
        add(id[1], all[i], h, added)
    end
    pa, last = one == '' and N(id[2]) or pa, false
end
function out.schedules()
    local ids = schedule_ids()
    for _, id in ipairs(ids) do
        if id > one and #rows < most then
            local c = S.of(id)
            local t = fields(c.key .. ':t', 'ticket', 'job')
            add(id, c.te, c.na, c.ki, c.cr, c.zo, c.iv, c.lo, c.mo, c.pw, c.ji, c.st, c.en, c.mi, c.ov, c.cu, c.cm, c.gr, t[1], t[2],
                c.pa, c.pb, c.py, c.an, c.ls, c.nx, c.lj, c.fi, c.sk, c.ps, c.fo, c.rd, c.rv, c.ca, c.ua)
        end
    end
    one, last = rows[1] and rows[#rows][1] or one, not ids[1] or one == '' or one >= ids[#ids]
end
function out.runs()
    local id
    for _, next_id in ipairs(schedule_ids()) do
        if next_id > one then
            id = next_id
            break
        end
    end
    if not id then
        return
    end
    local c, some = S.of(id), call('ZRANGEBYSCORE', P .. 'sd:' .. id .. ':n', '(' .. I(pa), '+inf', 'LIMIT', 0, most)
    for _, n in ipairs(some) do
        local r = S.run(c, n)
        local fresh = r.state == 2 and call('ZSCORE', c.key .. ':f', n) and 1 or 0
        add(id, n, r.slot, r.cause, r.state, r.why, r.slots, (r.state == 1 or r.state == 2) and r.job or '', r.at,
            r.state == 2 and r.ended or 0, r.state == 2 and r.job_state or 0, r.state == 2 and r.found or 0, fresh)
        pa = N(n)
    end
    if #some < most then
        one, pa = id, 0
    end
    last = false
end
function out.operations()
    by_number('ops', most, function(id, n)
        local v = fields(P .. 'op:' .. id, 'kind', 'state', 'ba', 'failure', 'site', 'jk', 'fp', 'since', 'til', 'reset', 'rate', 'cursor',
                         'last', 'due', 'done', 'skipped', 'ca', 'ua', 'fa', 'many', 'states', 'class', 'tenant', 'target', 'lane', 'held',
                         'most', 'prio', 'why', 'labels')
        v[22] = N(v[20]) == 1 and N(v[22]) or -1
        add(n, id, unpack(v))
    end)
end
local function number_of(id)
    return id ~= '' and N(call('HGET', P .. 'j:' .. id, 'sq')) or 0
end
local function job_row(id)
    local j, f = read(P .. 'j:' .. id, JOB), M.fixed(id)
    local t = call('HMGET', P .. 't:' .. id, 'cu', 'kn', 'wh', 're')
    local held = j.st < READY and j.ra == INF
    local known = j.mk == 2 and j.st <= ACTIVE and t[2]
    local tenant = call('HGET', P .. 'l:' .. j.ln, 'te') or ''
    add(j.sq, id, tenant, f[1], f[2], f[3], f[4], f[5], f[6], f[7], j.ln, j.li, j.co, j.st, j.pr, j.st == READY and rank_of(j) or 0,
        j.ra, held and j.hr or 0, j.ov, j.de, j.am, j.sm, j.nd, j.me, j.uk, j.wk, j.wt, number_of(j.wt), j.st == BLOCKED and j.wh or 0,
        j.so, j.sf, number_of(j.sf), j.rg, j.ge, j.ec, j.fe, j.cq, j.nf, j.nc, j.nt, j.nr, j.nk, j.nv, j.mf, j.mc, j.mt, j.fb, j.cb,
        j.rb, j.nb, t[1] or '', j.ha, j.us, j.by, j.rj, j.cf, j.fi, j.mk, known and 1 or 0, known or '', j.fl, j.ve, j.en, t[3] or '',
        t[4] or '', j.ba, j.fp, j.rv, j.ca, j.sa, j.fa, j.ug)
end
function out.jobs()
    local some = jobs_behind(pa, most)
    for _, j in ipairs(some) do
        job_row(j[1])
        pa = j[2]
    end
    last = #some < most
end
function out.requests()
    by_rank('moq', most, function(key)
        local h, at, job = string.match(call('GET', P .. 'idem:' .. key) or '', '^(%x+)|(%d+)|(.*)$')
        local tenant, name = string.match(key, '^([^:]*):(.*)$')
        if h then
            add(tenant, name, h, job, at)
        end
    end)
end
function out.webhooks()
    by_name('hooks', most, function(id)
        add(id, unpack(fields(P .. 'wh:' .. id, 'na', 'ur', 'ty', 'se', 'sn', 'os', 'ou', 'en', 'of', 'ow', 'pl', 'see', 're', 'fa', 'fs',
                              'ok', 'bad', 'dd', 'mi', 'lo', 'ca', 'ua', 'rv')))
    end)
end
-- pa: 0 of lanes, 1 of sessions, 2 of webhooks.
function out.hands()
    local index, prefix = unpack(({[0] = {'lanes', 'l:'}, {'sessions', 'ses:'}, {'hooks', 'wh:'}})[pa])
    by_name(index, most, function(name)
        local id = pa == 1 and session_of(name) or name
        local v = fields(P .. prefix .. id, 'hb', 'hw', 'ha', 'hu')
        if N(v[4]) > 0 then
            add(pa, id, v[1], v[2], N(v[3]), N(v[4]))
        end
    end)
    if last and pa < 2 then
        pa, one, last = pa + 1, '', false
    end
end
function out.deliveries()
    local id = call('ZRANGEBYLEX', P .. 'hooks', one == '' and '-' or '(' .. one, '+', 'LIMIT', 0, 1)[1]
    if not id then
        return
    end
    local some = call('ZRANGEBYSCORE', P .. 'wh:' .. id .. ':a', '(' .. I(pa), '+inf', 'LIMIT', 0, most)
    for _, n in ipairs(some) do
        local v = fields(P .. 'd:' .. n, 'id', 'wh', 'sq', 'su', 'ev', 'ki', 'at', 'bo', 'st', 'du', 'an', 'hs', 'wy', 'ea')
        add(n, unpack(v))
        pa = N(n)
    end
    if #some < most then
        one, pa = id, 0
    end
    last = false
end
local function add_event(id, number, packed)
    local seq, at, what, body = string.match(packed, '^(%d+)|(%d+)|([^|]+)|(.*)$')
    add(N(seq), N(at), id, what, body, number)
end
-- Events of one after the other: its first from the job itself, then its list, from pb on. pa: phase, one: number or name of the
-- one before.
local function events_of(id, first)
    local key = P .. 'e:' .. id
    if first and pb == 0 then
        local v = call('HMGET', P .. 'j:' .. id, 'es', 'ca', 'as', 'li')
        if N(v[1]) > 0 then
            add(N(v[1]), N(v[2]), id, '', call('GET', P .. 'p:' .. id) or '', 1, N(v[3]) - 1, N(v[4]))
        end
    end
    local some = call('LRANGE', key, pb, pb + most - 1)
    for i, packed in ipairs(some) do
        add_event(id, first and pb + i + 1 or 0, packed)
    end
    pb = #some == most and pb + most or 0
    return pb == 0
end
local function events_by(index)
    local some = call('ZRANGEBYSCORE', P .. index, '(' .. (one == '' and '0' or one), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
    if not some[1] then
        pa, one = pa + 1, ''
    elseif events_of(some[1], false) then
        one = some[2]
    end
end
function out.events()
    last = false
    if pa == 0 then
        local some = jobs_behind(N(one), 20)
        for _, j in ipairs(some) do
            if not events_of(j[1], true) then
                return
            end
            one = I(j[2])
            if #rows >= most then
                return
            end
        end
        if #some < 20 then
            pa, one = 1, ''
        end
    elseif pa == 1 then
        events_by('batches')
    elseif pa == 2 then
        events_by('ops')
    else
        local entries = call('XRANGE', P .. 'ev', '(' .. (one == '' and '0-0' or one), '+', 'COUNT', most)
        for _, entry in ipairs(entries) do
            local f = entry[2]
            one = entry[1]
            if N(f[4]) == 0 and f[2] == '' then
                add_event('', 0, string.match(entry[1], '^%d+') .. '|' .. f[6])
            end
        end
        last = #entries < most
    end
end
function out.files()
    by_rank('mof', most, function(hash)
        local v = fields(P .. 'f:' .. hash, 'sx', 'mi', 'by', 'at')
        if v[1] ~= '' then
            add(hash, v[1], v[2], v[3], v[4], '')
        end
    end)
end
function out.urls()
    local all = scan(P .. 'furl', most)
    for i = 1, #all, 2 do
        local hash, status, at = string.match(all[i + 1], '^([^|]*)|(%d+)|(%d+)$')
        local site, url = string.match(all[i], '^([^\n]*)\n(.*)$')
        if hash and call('ZSCORE', P .. 'mof', hash) then
            add(site, url, hash, status, at)
        end
    end
    last = one == ''
end
function out.holds()
    local some = jobs_behind(pa, 20)
    last = #some < 20
    for _, j in ipairs(some) do
        local all = scan(P .. 'jf:' .. j[1], most)
        for i = 1, #all, 2 do
            if all[i] ~= '' and call('ZSCORE', P .. 'mof', all[i]) then
                add(j[1], all[i])
            end
        end
        if one ~= '' then
            last = false
            return
        end
        pa = j[2]
        if #rows >= most then
            last = false
            return
        end
    end
end
function out.counters()
    if pa == 0 then
        local v = fields(P .. 'meta', 'bid', 'oid', 'did', 'runs')
        add(meta.seq, meta.ev, v[1], v[2], v[3], v[4])
        pa = 1
    end
end
-- For what only the archive has: of jobs by number their ids, next batches, whether they run, and how much of their own they have.
function out.ids()
    local some = jobs_behind(pa, most)
    for _, j in ipairs(some) do
        local v = fields(P .. 'j:' .. j[1], 'nb', 'st', 'fe', 'co', 'ha', 'sf')
        add(j[1], v[1], v[2], v[3], v[4], v[6] == '' and v[5] or 0)
        pa = j[2]
    end
    last = #some < most
end

-- ---- indexes ----

-- pb: 0 requests, by a walk through all keys, pa its cursor; 1 files, by jobs, pa the number of the one before.
local DAY = 86400000
local function index_requests()
    local page = call('SCAN', I(pa), 'MATCH', P .. 'idem:*', 'COUNT', 200)
    for _, key in ipairs(page[2]) do
        call('ZADD', P .. 'moq', 0, string.sub(key, #P + 6))
        if call('PTTL', key) < DAY then -- whether it counts still is for its own time to say
            call('PEXPIRE', key, DAY)
        end
    end
    pa = N(page[1])
    pb = pa == 0 and 1 or 0
end
local function index_files()
    local some = jobs_behind(pa, 20)
    for _, j in ipairs(some) do
        for _, hash in ipairs(call('HKEYS', P .. 'jf:' .. j[1])) do
            if hash ~= '' and call('EXISTS', P .. 'f:' .. hash) == 1 then
                call('ZADD', P .. 'mof', 0, hash)
            end
        end
        pa = j[2]
    end
    last = #some < 20
end
if kind == 'index' then
    if pa == 0 and pb == 0 then
        call('UNLINK', P .. 'moq', P .. 'mof')
    end
    last = false
    if pb == 0 then
        index_requests()
    else
        index_files()
    end
    return {R_OK, pa, pb, last and 1 or 0}
end
out[kind]()
return {R_OK, pa, pb, one, two, last and 1 or 0, unpack(rows)}
