-- common.lua - what every script may use: time, jobs, lanes, how a job moves between its states.
--
-- KEYS[1] is the store's prefix, ARGV[1] the caller's time (empty: the server's), ARGV[2] the settings of the
-- calling node, ARGV[3] the number of its call (empty: it changes nothing), ARGV[4] its name; what is of one
-- script alone follows, here A[1] and on, and at last the script's name: many are one text (tools/scripts.sh). Lanes, tenants, sites and jobs are read once (M.lane, M.job), changed
-- in memory, and written by M.flush(), which every script that changes something calls last. Fields that are 0
-- or empty are not stored.
--
-- Keys behind the prefix:
--   meta            schema, id of the store, epoch, numbers of jobs, lanes and events, mode, turns of the tenants, kept bytes
--   j:ID p:ID t:ID  a job: what decides; what is fixed, as text; its long texts. e:ID its events but the first
--   s:STATE         jobs by number                      all: its bound is that of the jobs
--   l:LANE          a lane; :0 :1 its ready jobs by rank and by what they need, :a active, :s :b scheduled, blocked, :e ended, :c to come
--   te:T si:S       a tenant, a site; :a active jobs, :n lanes with ready jobs; te:T:0 :1 turns; si:S:f lanes that wait
--   tz0 tz1         turns of the tenants                waits  when time opens a lane
--   lanes tenants sites idle rated words                names, lanes by use, sites with a rate, lanes by what holds them
--   sched act stop over done dead gone                  jobs by the time that concerns them; gone: only the archive has them, or had (gone.lua)
--   retain          of done and dead: time and member up to which all are needed by others
--   uniq uniqb      unique key to live job, to blocked one        asked  question of a worker to its job
--   wt:ID unset     who waits for a job; ended jobs that somebody still waits for
--   prints pr:GROUP op:ID ops opdue oplabel opend       dead jobs by what they died of; operations on many jobs
--   b:ID batches bidem bcdue bsettle bempty             batches: batches.lua; bg:TOKEN bstage bcoming bkeys bwait: batch_pieces.lua
--   wh:ID d:N dids hooks                                webhooks and their deliveries: webhook.lua
--   f:HASH furl files jf:ID fjobs ffree fgoing          files of media: file.lua
--   ses:ID sr:ID so:ID su:ID sc:ID                      a login session; its rests, leases and requests (r…) by hour, jobs, sealed cookies
--   sessions snames sname:NAME pool:S:P parked:S:P      sessions by place and name; lanes that wait for a pool
--   sd:… sdi sdw0 sdw1                                  schedules and their runs: schedules.lua
--   wk:W wa:W sh:ID work to live jobs, to results; jobs that have another's result     ua:T\nK  unique key to results
--   nodes nd:N      who shares the queue: node.lua      move moq mof   of a move: move_in.lua, move_out.lua
--   idem:T:K mk:X ev last                               requests; marks; the log of all events; last reply to a node
--
-- Lines "-- part" and "-- late" are for tools/scripts.sh: late functions of M are defined when they are asked for.
local P, call, A, LATE, LATE_OF = KEYS[1], redis.call, {}, {}, {}
for i = 5, #ARGV - 1 do
    A[i - 4] = ARGV[i]
end
local CALL, NODE, NAME = ARGV[3], ARGV[4], ARGV[#ARGV]
-- Long texts of a lease are not kept with the answer, false stands for them: the job has them.
local TEXT, CURSOR, KNOWN = 4, 18, 19
local function whole(lease)
    if type(lease) ~= 'table' or lease[TEXT] ~= false then
        return
    end
    local t = call('HMGET', P .. 't:' .. lease[1], 'cu', 'kn')
    lease[TEXT] = call('GET', P .. 'p:' .. lease[1]) or ''
    lease[CURSOR] = lease[CURSOR] == false and (t[1] or '') or lease[CURSOR]
    lease[KNOWN] = lease[KNOWN] == false and (t[2] or '') or lease[KNOWN]
end
-- Asked again because the reply was lost on its way: the same answer. A node asks one thing after the other.
if CALL ~= '' then
    local last = call('HGET', P .. 'last', NODE)
    if last and #last > #CALL + 1 and string.sub(last, 1, #CALL + 1) == CALL .. '|' then
        local reply = cmsgpack.unpack(string.sub(last, #CALL + 2))
        for _, part in ipairs(reply) do
            whole(part)
            whole(type(part) == 'table' and part[2])
        end
        return reply
    end
end
local INF = 9007199254740991
local BLOCKED, SCHEDULED, READY, ACTIVE, SUCCEEDED, DEAD, CANCELLED, EXPIRED = 0, 1, 2, 3, 4, 5, 6, 7
local STATES = {[0] = 'blocked', 'scheduled', 'ready', 'active', 'succeeded', 'dead', 'cancelled', 'expired'}
local NORMAL, PAUSED, DRAINING, MAINTENANCE = 0, 1, 2, 3
local CLOSED, OPEN, HALF_OPEN = 0, 1, 2
local OK, SIGN_BAD, SIGN_NONE = 0, 1, 2
local AGING, STRIDE, STEP, WAKES = 30000, 1048576, 64, 16
local KEY_MS = 259200000 -- the key of a request counts so long
local floor, max, min = math.floor, math.max, math.min
local M = setmetatable({mark = '', left = false, leases = false, woken = false, taking = false, adding_to = false, went_back = false}, {
    __index = function(m, name)
        local part = LATE_OF[name]
        if part then
            LATE[part]()
            return rawget(m, name)
        end
    end
})

-- The same numbers come again and again, most of all in a script of several operations, and to read or write one takes longer
-- than to find it.
local NUMBERS, TEXTS = setmetatable({}, {
    __index = function(all, text)
        local n = tonumber(text) or 0
        all[text] = n
        return n
    end
}), setmetatable({}, {
    __index = function(all, n)
        local text = string.format('%d', n)
        all[n] = text
        return text
    end
})
local function N(x)
    return x and NUMBERS[x] or 0
end
local function I(n)
    return TEXTS[n]
end

-- Behind the seed and what M.delay takes; between them what M.retry_at does.
local LANE_ACTIVE, LANE_EMIT, LANE_BURST = struct.unpack('>i8i8i8', ARGV[2], 33)
local ACTIVE_MAX, LEASE, ATTEMPT, READY_MAX, LANES_MAX, FAIL_MAX, CRASH_MAX, THROTTLE_MAX = struct.unpack('>i8i8i8i8i8i8i8i8', ARGV[2], 73) -- behind them M.paced()

-- Replies: the first is one of these, the last what ended, by outcome, the newest event, and whose that is when it is this
-- script's.
local R_OK, R_END, R_STALE, R_NONE, R_STATE, R_TAKEN, R_FULL, R_MODE, R_CLOSED, R_BODY, R_LANES, R_SESSION, R_FIRST, R_ALONE, R_COMING =
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14

-- part
-- ---- records that are read once and written at the end ----

-- Which fields a hash has, each with what it is when it is not stored: 0 a number, '' a text.
local function fields_of(kind)
    return {kind = kind, meta = {__index = kind}}
end
-- The record, whether it is there, and what it is before anything is changed. It has what is changed of its own, and else what
-- it was: who writes it looks at no more.
local function read(key, of, record)
    local flat, before, kinds = call('HGETALL', key), of.new and of.new() or {}, of.kind
    for i = 1, #flat, 2 do
        local field = flat[i]
        local kind = kinds[field]
        if kind == 0 then
            before[field] = NUMBERS[flat[i + 1]]
        elseif kind then
            before[field] = flat[i + 1]
        end
    end
    setmetatable(before, of.meta)
    return setmetatable(record or {}, {__index = before}), #flat > 0, before
end
-- Words of one command, again and again: what Lua has to clear away costs more than most of what it does here.
local set, gone = {}, {}
local function write(key, r, before, of)
    local n, m, kinds = 0, 0, of.kind
    for f, v in pairs(r) do
        local kind = kinds[f]
        if kind and v ~= before[f] then
            before[f] = v
            if v == kind then
                m = m + 1
                gone[m] = f
            else
                set[n + 1] = f
                n = n + 2
                set[n] = kind == 0 and TEXTS[v] or v
            end
        end
    end
    if n > 0 then
        call('HSET', key, unpack(set, 1, n))
    end
    if m > 0 then
        call('HDEL', key, unpack(gone, 1, m))
    end
end
local function copy(r)
    local c = {}
    for k, v in pairs(r) do
        c[k] = v
    end
    return setmetatable(c, getmetatable(r))
end

-- cm, here and of a lane: jobs of batches that are to come, and count as waiting, as a version before bwait counted them (batch_pieces.lua).
-- cs, cw: when the server's clock was last set back, and what is still to be looked over for that (reap.lua).
-- le: epoch that the last loss began, lf: the server that lost it, both by a version that knows le; ll, la: the same and its time, when events were lost.
local META = fields_of({
    epoch = 0, seq = 0, lanes = 0, ev = 0, mode = 0, tvt = 0, amax = 0, reaped = 0, kept = 0, hw = 0, le = 0, ll = 0, la = 0, mv = 0, cm = 0, cs = 0,
    id = '', lost = '', lf = '', cw = ''
})
local meta, _, meta_before = read(P .. 'meta', META)
-- A store that is moved, or was, is touched by nobody but who moves it, which has no name: transfer_holds() (store/transfer.h).
function M.holds()
    return meta.mv > 0 and meta.mv < 4
end
if M.holds() and NODE ~= '' then
    return redis.error_reply(meta.mv == 2 and 'FULMARLEFT this store was moved' or 'FULMARMOVES this store is moved')
end

-- ---- time ----

-- Small steps back are not seen; after a large one the mark was wrong, and is given up (queue.md §11): M.flush() says so, and
-- reap.lua looks over what was to last until a time of the clock that was wrong.
local function server_time()
    local t = call('TIME')
    local ms = N(t[1]) * 1000 + floor(N(t[2]) / 1000)
    if meta.hw > ms and meta.hw - ms <= 2000 then
        return meta.hw
    elseif meta.hw > ms then
        M.stepped, meta.cs, meta.cw, meta.la = meta.hw - ms, ms, 'leases', min(meta.la, ms)
    end
    meta.hw = ms
    return ms
end
local now = ARGV[1] ~= '' and N(ARGV[1]) or server_time()

-- Where jobs are to be found by their state. A script of several operations writes that once, and of each index what it has
-- become: key to {member = score, true of a set; false: it goes}. Who reads one of these calls M.write_indexes() before.
-- each: its operations answer by themselves, and one may be left (M.look).
-- Likewise what is fixed of new jobs, texts by key.
local indexes, new_texts, by_itself
function M.gather(each)
    indexes, new_texts, by_itself = {}, {}, each
end
local function put(key, member, score)
    if indexes then
        indexes[key] = indexes[key] or {}
        indexes[key][member] = score or true
    elseif score then
        call('ZADD', key, TEXTS[score], member)
    else
        call('SADD', key, member)
    end
end
local function take(key, member, is_set)
    if indexes then
        indexes[key] = indexes[key] or {}
        indexes[key][member] = false
        indexes[key][1] = is_set -- members are texts
    else
        call(is_set and 'SREM' or 'ZREM', key, member)
    end
end
local function write_index(key, members)
    local n, m, is_set = 0, 0, members[1]
    members[1] = nil
    for member, score in pairs(members) do
        if not score then
            m = m + 1
            gone[m] = member
        elseif score == true then
            n, is_set = n + 1, true
            set[n] = member
        else
            set[n + 1] = TEXTS[score]
            n = n + 2
            set[n] = member
        end
    end
    if n > 0 then
        call(is_set and 'SADD' or 'ZADD', key, unpack(set, 1, n))
    end
    if m > 0 then
        call(is_set and 'SREM' or 'ZREM', key, unpack(gone, 1, m))
    end
end
function M.write_indexes()
    if not indexes then
        return
    end
    local texts = {}
    for key, text in pairs(new_texts) do
        texts[#texts + 1] = key
        texts[#texts + 1] = text
    end
    if #texts > 0 then
        call('MSET', unpack(texts))
    end
    for key, members in pairs(indexes) do
        write_index(key, members)
    end
    indexes, new_texts = {}, {}
end
-- How many jobs of a tenant or a site are active: looked at when somebody asks.
function M.active_of(x)
    if not x.active then
        M.write_indexes()
        x.active = call('SCARD', x.key .. ':a')
    end
    return x.active
end
-- Jobs of a state.
local counts = {}
function M.count(st)
    if not counts[st] then
        M.write_indexes()
        counts[st] = call('ZCARD', P .. 's:' .. TEXTS[st])
    end
    return counts[st]
end
local function count_active(l, more)
    local t, s = l.tenant, l.site
    l.active, t.active, s.active = l.active + more, t.active and t.active + more, s.active and s.active + more
end
local TENANT = fields_of({ps = 0, vt = 0, we = 0, ma = 0, ln = 0, th = ''})
local tenants, sites, lanes, jobs = {}, {}, {}, {}
local requests = {} -- keys of jobs that are new to what idem: keeps: written behind the jobs, so that none names a job that is not
function M.tenant(name)
    local t = tenants[name]
    if t then
        return t
    end
    local before
    t, _, before = read(P .. 'te:' .. name, TENANT)
    t.name, t.key, t.before = name, P .. 'te:' .. name, before
    tenants[name] = t
    return t
end
local SITE = fields_of({ma = 0, em = 0, bu = 0, ta = 0, ln = 0})
function M.site(name)
    local s = sites[name]
    if s then
        return s
    end
    local before
    s, _, before = read(P .. 'si:' .. name, SITE)
    s.name, s.key, s.before = name, P .. 'si:' .. name, before
    sites[name] = s
    return s
end

-- ow oa oe ob od oo: its own settings + 1, 0 as configured; lb: number of the job that failed last; sg: where it stands, in
-- short, 'f' aside because of its site, '' nobody knows.
local LANE = fields_of({
    n = 0, cl = 0, ps = 0, ta = 0, bu = 0, bs = 0, bf = 0, bt = 0, tr = 0, wf = 0, ws = 0, wb = 0, fo = 0, lb = 0,
    ow = 0, oa = 0, oe = 0, ob = 0, od = 0, oo = 0, op = 0, pa = 0, co = 0, pk = 0, us = 0, wd = 0, rn = 0, st = 0, te = '', si = '',
    sg = '', le = 0, cm = 0, bn = 0, pc = ''
})
-- bn: since when its breaker is in its state. pc: percent of its rate that it uses, and clean since when; '' all of it.
function M.breaker_is(l, state)
    if l.bs ~= state then
        l.bs, l.bn = state, now
    end
end
-- breaker_after_hold() in core/lane.c: what only a hand had opened is closed when that is over.
local function end_hold(l)
    if l.bs == OPEN and l.tr == 0 and l.fo > 0 and l.bt == l.fo and l.fo <= now then
        l.bs, l.bn, l.bt = CLOSED, l.fo, 0
    end
end
-- nil: there is none.
function M.lane(name)
    local l = lanes[name]
    if l then
        return l
    end
    local there, before
    l, there, before = read(P .. 'l:' .. name, LANE)
    if not there then
        return nil
    end
    l.name, l.key, l.before = name, P .. 'l:' .. name, before
    l[0], l[1], l.active = call('ZCARD', l.key .. ':0'), call('ZCARD', l.key .. ':1'), call('SCARD', l.key .. ':a')
    l.tenant, l.site = M.tenant(l.te), M.site(l.si)
    l.turn = string.format('%09d:%s', l.n, name)
    lanes[name] = l
    -- Errors in a row that were lost may have opened its breaker: one that counts some goes on with a probe.
    if meta.ll > l.le then
        l.le = meta.ll
        M.breaker_is(l, l.bs == CLOSED and l.bf > 0 and HALF_OPEN or l.bs)
    end
    end_hold(l)
    return l
end
-- of: tenant, site, class, place of the tenant among those whose turn is the same.
function M.lane_want(name, of)
    local l = M.lane(name)
    if l then
        return l
    end
    meta.lanes = meta.lanes + 1
    l = setmetatable({}, LANE.meta)
    l.before = copy(l)
    l.name, l.key, l.n, l.te, l.si, l.cl, l.us = name, P .. 'l:' .. name, meta.lanes, of.te, of.si, of.cl, now
    l[0], l[1], l.active = 0, 0, 0
    l.tenant, l.site = M.tenant(of.te), M.site(of.si)
    l.ps = l.tenant.vt
    if l.tenant.ln == 0 and l.tenant.ma == 0 and l.tenant.we == 0 then
        l.tenant.ps = meta.tvt
    end
    if l.tenant.th ~= of.th then -- before the lane: whoever finds that one finds it
        call('HSET', l.tenant.key, 'th', of.th)
        l.tenant.th, l.tenant.before.th = of.th, of.th
    end
    l.tenant.ln, l.site.ln = l.tenant.ln + 1, l.site.ln + 1
    l.turn = string.format('%09d:%s', l.n, name)
    l.touched = true
    lanes[name] = l
    call('ZADD', P .. 'lanes', 0, name)
    call('ZADD', P .. 'tenants', 0, of.te)
    call('ZADD', P .. 'sites', 0, of.si)
    call('ZADD', P .. 'idle', now, name)
    return l
end
-- Where jobs of this lane go that ended their worker's life.
function M.quarantine(l)
    local at = string.find(l.name, '@', 1, true)
    local name = l.te .. '/' .. l.si .. '/quarantine' .. (at and string.sub(l.name, at) or '')
    return M.lane_want(name, {te = l.te, si = l.si, cl = 3, th = l.tenant.th})
end

local JOB = fields_of({
    sq = 0, st = 0, nd = 0, pr = 0, rk = 0, ra = 0, ca = 0, fe = 0, le = 0, su = 0, sd = 0, cq = 0, sb = 0,
    ep = 0, nf = 0, nc = 0, nt = 0, nr = 0, nk = 0, nv = 0, mf = 0, mc = 0, mt = 0, fb = 0, cb = 0, rb = 0,
    pg = 0, ge = 0, nb = 0, ha = 0, us = 0, by = 0, li = 0, co = 0, mk = 0, rj = 0, cf = 0, fi = 0, ov = 0,
    de = 0, am = 0, sm = 0, me = 0, wh = 0, so = 0, rg = 0, wb = 0, cv = 0, fl = 0, ve = 0, en = 0, rv = 0,
    sa = 0, fa = 0, es = 0, as = 0, ec = 0, hr = 0, ln = '', no = '', ow = '', wo = '', rq = '', uk = '', wk = '',
    wt = '', sf = '', fp = '', se = '', rs = '', ba = '', ug = '', he = 0, hk = ''
})
-- What nearly every job has: a table grows as large as it is made, and else in six steps.
function JOB.new()
    return {sq = 0, st = 0, nd = 0, pr = 0, ra = 0, ca = 0, fe = 0, le = 0, ep = 0, mf = 0, mc = 0, mt = 0, li = 0, co = 0, rv = 0,
            sa = 0, es = 0, as = 0, ec = 0, ln = '', no = '', ow = '', wo = '', rq = '', nk = 0, fa = 0, ve = 0, en = 0}
end
-- nil: there is none.
local absent = {}
function M.job(id)
    local j = jobs[id]
    if j then
        return j
    elseif absent[id] then
        return nil
    end
    local there, before
    local key = P .. 'j:' .. id
    j, there, before = read(key, JOB, {id = id, key = key, before = false, member = false})
    if not there then
        return nil
    end
    j.before, j.member = before, string.format('%012d:%s', j.sq, id)
    jobs[id] = j
    return j
end
-- j: its id, and what else is known of it.
function M.job_new(j)
    meta.seq = meta.seq + 1
    j.key, j.sq, j.before = P .. 'j:' .. j.id, meta.seq, setmetatable({}, JOB.meta)
    j.member = string.format('%012d:%s', j.sq, j.id)
    jobs[j.id] = setmetatable(j, JOB.meta)
    return j
end
-- Asked once for all of these: whether any is there, or was.
function M.note_absent(ids)
    local keys = {}
    for i, id in ipairs(ids) do
        keys[i] = P .. 'j:' .. id
    end
    if call('EXISTS', unpack(keys)) > 0 then
        return
    end
    for i, since in ipairs(call('ZMSCORE', P .. 'gone', unpack(ids))) do
        absent[ids[i]] = not since or nil
    end
end
-- accepted: by a node, which may hand over what ended here and is gone.
function M.is_absent(id, accepted)
    if jobs[id] or not absent[id] and M.job(id) then
        return false
    end
    local since = not absent[id] and call('ZSCORE', P .. 'gone', id)
    return not since or not accepted and N(since) < 0
end
local function id_of(member)
    return string.sub(member, 14)
end
-- Whose lease it is, or nil.
function M.held(id, nonce)
    local j = M.job(id)
    return j and j.st == ACTIVE and j.no == nonce and j or nil
end
-- Without what is nothing at the end of a reply: each word is packed, kept and sent.
function M.shortened(reply)
    local n = #reply
    while reply[n] == 0 or reply[n] == '' do
        reply[n], n = nil, n - 1
    end
    return reply
end
-- Texts that lie behind each other, each behind its length: "5:posts4:nasa".
function M.texts_of(text)
    local at, parts = 1, {}
    while at <= #text do
        local colon = string.find(text, ':', at, true)
        local n = N(string.sub(text, at, colon - 1))
        parts[#parts + 1] = string.sub(text, colon + 1, colon + n)
        at = colon + n + 1
    end
    return parts
end
-- site, kind, target, spec, variant, pool, operation
function M.fixed_text(id)
    local key = P .. 'p:' .. id
    return new_texts and new_texts[key] or call('GET', key) or ''
end
-- What stands behind the last one that is stored is '': later versions may leave that out.
local FIXED = 7
function M.fixed(id)
    local parts = M.texts_of(M.fixed_text(id))
    for i = #parts + 1, #parts > 0 and FIXED or 0 do
        parts[i] = ''
    end
    return parts
end
function M.set_fixed(id, text)
    if new_texts then
        new_texts[P .. 'p:' .. id] = text
    else
        call('SET', P .. 'p:' .. id, text)
    end
end
-- What f(...) reads, which is all that is read of an operation before it writes: nothing takes back what a script wrote that
-- fails behind that. Of several operations one that meets foreign data is left to be asked alone: nil, {R_ALONE}.
function M.look(f, ...)
    if not by_itself then
        return f(...)
    end
    return M.try(f, ...)
end
function M.try(f, ...)
    local well, found, reply = pcall(f, ...)
    if well then
        return found, reply
    end
    return nil, {R_ALONE}
end
-- Fails when somebody else has put something under a job's keys, or its lane's: under its events, and where these are used, what
-- is fixed and its long texts.
function M.sound(j, fixed, texts)
    M.lane(j.ln)
    call('LLEN', P .. 'e:' .. j.id)
    if fixed then
        j.fixed = M.fixed_text(j.id)
    end
    if texts then
        call('HLEN', P .. 't:' .. j.id)
    end
    return j
end
-- Likewise under what a lane keeps of its jobs, of those that are about to be written: 'e' ended, 's' scheduled, 'b' blocked.
local looked_at = {}
function M.sound_indexes(name, which)
    for index in string.gmatch(which, '.') do
        local key = P .. 'l:' .. name .. ':' .. index
        if not looked_at[key] then
            call(index == 'e' and 'SCARD' or 'ZCARD', key)
            looked_at[key] = true
        end
    end
end
-- nil: there is none, or foreign data in its place.
function M.lane_if_sound(name)
    local well, l = pcall(M.lane, name)
    return well and l or nil
end

-- part
-- ---- events ----

-- A script that failed half-way may have logged more than it counted: the count goes on behind that.
local trims = true
local function add_event(try, ...)
    if not trims then
        return try('XADD', P .. 'ev', I(meta.ev) .. '-0', ...)
    end
    trims = false -- once a script
    return try('XADD', P .. 'ev', 'MAXLEN', '~', '100000', I(meta.ev) .. '-0', ...)
end
local function log(...)
    local said = add_event(redis.pcall, ...)
    if type(said) == 'table' and said.err then
        local top = call('XREVRANGE', P .. 'ev', '+', '-', 'COUNT', 1)[1]
        meta.ev = (top and N(string.match(top[1], '^%d+')) or meta.ev) + 1
        add_event(call, ...)
    end
end
-- What happened in this script, in its order: M.flush() logs it. A job's events are those that the job counts, so that what a
-- script that fails half-way logged for a job that it did not write is none (events.lua).
local happened = {}
-- Of no job: j nil; about: what else it is of. The first of a job needs no words: what it says is in the job itself.
function M.event(j, kind, body, about)
    local e = {j = j, about = about or '', n = 0, says = kind and '|' .. I(now) .. '|' .. kind .. '|' .. body}
    if j then
        j.ec = j.ec + 1
        e.about, e.n, e.as = j.id, j.ec, j.st + 1
    end
    happened[#happened + 1] = e
end
-- What a batch or an operation (of: its record) says with its next write, which is one command with this: a script that fails
-- behind that has it told by who reads the record next, or the walk. Its place in the list is its number; in `oe` are those that the
-- log may not have, "number|time|kind|body" each.
local owing = {}
local function owe(of, n, says)
    happened[#happened + 1] = {of = of, about = of.id, n = n, says = says}
    owing[of.key] = of
end
function M.says(of, kind, body)
    of.told = (of.told or call('LLEN', P .. 'e:' .. of.id) + #M.texts_of(of.oe)) + 1
    local says = '|' .. I(now) .. '|' .. kind .. '|' .. body
    local text = I(of.told) .. says
    of.oe = of.oe .. #text .. ':' .. text
    owe(of, of.told, says)
end
function M.owes(of)
    if of.oe ~= '' then
        for _, text in ipairs(M.texts_of(of.oe)) do
            local n, says = string.match(text, '^(%d+)(|.*)$')
            owe(of, N(n), says)
        end
    end
    return of
end
-- What it says stands behind what others have said meanwhile.
function M.said_last(of)
    local first, last = {}, {}
    for _, e in ipairs(happened) do
        local some = e.of == of and last or first
        some[#some + 1] = e
    end
    for _, e in ipairs(last) do
        first[#first + 1] = e
    end
    happened = first
end
local function write_owed(e)
    local key = P .. 'e:' .. e.about
    if e.of.gone or call('LLEN', key) >= e.n then -- a script that failed behind that has told it
        return
    end
    meta.ev = meta.ev + 1
    log('j', e.about, 'n', '0', 'e', string.sub(e.says, 2), 'b', TEXTS[e.n])
    M.mark = e.about .. ' 0'
    call('RPUSH', key, I(meta.ev) .. e.says)
end
-- The log has them.
local function forget_owed()
    for key, of in pairs(owing) do
        call('HDEL', key, 'oe')
        of.oe, of.before.oe = '', ''
    end
    owing = {}
end
local function append(e)
    local key, packed = P .. 'e:' .. e.about, I(meta.ev) .. e.says
    local others = call('RPUSH', key, packed) - e.n + 1
    if e.j and others > 0 then -- of a script that failed, behind those that the job counts
        call('LTRIM', key, 0, -others - 2)
        call('RPUSH', key, packed)
    end
end
local function write_event(e)
    local j = e.j
    if e.of then
        write_owed(e)
        return
    end
    meta.ev = meta.ev + 1
    M.mark = e.about .. ' ' .. TEXTS[e.n]
    if not j then
        log('j', e.about, 'n', '0', 'e', string.sub(e.says, 2))
    else
        log('j', j.id, 'n', TEXTS[e.n])
    end
    if e.n == 1 then
        j.es, j.as = meta.ev, e.as
    elseif e.about ~= '' and not (j and j.gone) then
        append(e)
    end
end
local function write_events()
    for _, e in ipairs(happened) do
        write_event(e)
    end
    happened = {}
    forget_owed()
end

-- ---- what holds a lane up ----

local WEIGHTS = {[0] = 800, 300, 100, 100}
local QUARANTINE = 3
function M.settings(l)
    if l.set then
        return l.set
    end
    local set = {weight = l.ow > 0 and l.ow - 1 or WEIGHTS[l.cl],
            active = l.oa > 0 and l.oa - 1 or l.cl == QUARANTINE and 1 or LANE_ACTIVE,
            emit = l.oe > 0 and l.oe - 1 or LANE_EMIT,
            burst = l.ob > 0 and l.ob - 1 or LANE_BURST,
            depth = max(l.od - 1, 0), overflow = max(l.oo - 1, 0),
            prio = l.op > 0 and l.op - 1 or 5}
    set.as_set, set.pace = set.emit, 100
    if l.pc ~= '' then
        set.pace = N(string.match(l.pc, '^%d+'))
        set.emit = floor((set.emit * 100 + set.pace - 1) / set.pace) -- limit_paced() in core/limit.c
    end
    l.set = indexes and set -- who changes them does nothing else
    return set
end
-- Starts that were lost had used up the rate: after a loss nothing is saved.
local lost_at = meta.la > 0 and meta.la <= now and meta.la or -INF
-- So much is never owed but by a clock that was ahead, and was set back since: then a burst is, from that moment on.
local function owed(tat, emit, burst)
    local most = max(burst, 1) * emit
    return meta.cs > 0 and meta.cs <= now and tat > now + most and meta.cs + most or tat
end
local function start_at(tat, emit, burst)
    if emit <= 0 then
        return 0
    end
    return max(owed(tat, emit, burst) - (max(burst, 1) - 1) * emit, lost_at + emit)
end
local function next_tat(tat, emit, burst)
    return emit > 0 and max(owed(tat, emit, burst), now, lost_at + max(burst, 1) * emit) + emit or tat
end
-- Until all whose lease was lost have heard of it, or have given up by themselves, nothing starts: limits hold for them too.
local rests_until = max(lost_at + LEASE, 0)
local function ready_of(l)
    return l[0] + l[1]
end
-- Jobs of the lane that wait.
function M.waiting_in(l)
    return ready_of(l) + call('ZCARD', l.key .. ':s') + call('ZCARD', l.key .. ':b')
end
local function room_of(l, set)
    return (l.bs == CLOSED and set.active or 1) - l.active
end
local function open_at(l, set)
    local at = max(start_at(l.ta, set.emit, set.burst), l.bu, l.pk)
    return l.bs == OPEN and max(at, l.bt) or at
end
local function starts_now(l, set)
    local n = min(room_of(l, set), ready_of(l))
    if l.pa == 1 or n <= 0 or open_at(l, set) > now then
        return 0
    end
    if set.emit > 0 then
        local saved = floor((now - start_at(l.ta, set.emit, set.burst)) / set.emit) + 1
        n = min(n, saved, max(set.burst, 1))
    end
    return n
end
function M.starts_now(l)
    return starts_now(l, M.settings(l))
end
local function one_more_at(l, set, starts)
    if set.emit <= 0 or starts >= min(room_of(l, set), ready_of(l)) or starts >= set.burst then
        return INF
    end
    return start_at(l.ta, set.emit, set.burst) + starts * set.emit
end
function M.active_max()
    return meta.amax > 0 and meta.amax or ACTIVE_MAX
end
function M.all_full()
    return M.active_max() > 0 and M.count(ACTIVE) >= M.active_max()
end
local function tenant_full(t)
    return t.ma > 0 and M.active_of(t) >= t.ma
end
local function site_full(s)
    return s.ma > 0 and M.active_of(s) >= s.ma
end
-- Numbers of enum waiting, and until when: 0 nobody knows.
local WORDS
do
    local W_WORKER, W_RATE, W_LANE, W_SITE, W_BREAKER, W_PAUSE, W_LIMIT, W_SESSION, W_MODE = 2, 3, 4, 5, 6, 8, 9, 10, 12
    function M.waiting(l)
        local set = M.settings(l)
        if meta.mode == PAUSED or meta.mode == MAINTENANCE then
            return W_MODE, 0
        elseif rests_until > now then
            return W_MODE, rests_until
        elseif l.pa == 1 then
            return W_PAUSE, 0
        elseif l.bs == OPEN and l.bt > now then
            return W_BREAKER, l.bt
        elseif l.bu > now then
            return W_SITE, l.bu
        elseif l.pk > now then
            return W_SESSION, l.pk == INF and 0 or l.pk
        elseif room_of(l, set) <= 0 then
            return l.bs == CLOSED and W_LANE or W_BREAKER, 0
        end
        local rate, site = start_at(l.ta, set.emit, set.burst), start_at(l.site.ta, l.site.em, l.site.bu)
        if rate > now then
            return W_RATE, rate
        elseif site > now then
            return W_RATE, site
        elseif tenant_full(l.tenant) or site_full(l.site) or M.all_full() then
            return W_LIMIT, 0
        end
        return W_WORKER, 0
    end
    -- Numbers of enum lane_word + 1; 0: it has no jobs.
    WORDS = {[W_BREAKER] = 4, [W_SITE] = 3, [W_LANE] = 2, [W_LIMIT] = 2, [W_PAUSE] = 5, [W_SESSION] = 6}
end

-- part
-- ---- where lanes stand ----

local function place_tenant(t)
    for n = 0, 1 do
        local member = t.th .. ':' .. t.name
        if not tenant_full(t) and call('EXISTS', t.key .. ':' .. n) == 1 then
            call('ZADD', P .. 'tz' .. n, t.ps, member)
        else
            call('ZREM', P .. 'tz' .. n, member)
        end
    end
end
local function count_word(l, word, runnable)
    if l.wd ~= word then
        if l.wd > 0 then
            call('HINCRBY', P .. 'words', l.wd, -1)
        end
        if word > 0 then
            call('HINCRBY', P .. 'words', word, 1)
        end
    end
    if l.rn ~= runnable then
        call('HINCRBY', P .. 'words', 'rn', runnable - l.rn)
    end
    l.wd, l.rn = word, runnable
end
-- Into its turn and what wakes it; not touched when it stands there already.
local function stand(l, sign, turn, wait)
    if l.sg == sign then
        return
    end
    if l.sg == 'f' or l.sg == '' then
        call('ZREM', l.site.key .. ':f', l.turn)
    end
    if turn and l[0] > 0 then
        call('ZADD', l.tenant.key .. ':0', l.ps, l.turn)
    else
        call('ZREM', l.tenant.key .. ':0', l.turn)
    end
    if turn then
        call('ZADD', l.tenant.key .. ':1', l.ps, l.turn)
    else
        call('ZREM', l.tenant.key .. ':1', l.turn)
    end
    if wait < INF then
        call('ZADD', P .. 'waits', wait, l.turn)
    elseif string.sub(l.sg, -1) ~= 'w' then -- it may stand there
        call('ZREM', P .. 'waits', l.turn)
    end
    l.sg, l.tenant.touched = sign, true
end
local function place(l)
    local set = M.settings(l)
    local starts, ready, wait = starts_now(l, set), ready_of(l), INF
    if starts > 0 then
        wait = one_more_at(l, set, starts)
        M.left = true
    elseif l.pa == 0 and ready > 0 and room_of(l, set) > 0 then
        wait = open_at(l, set)
    end
    local at = wait < INF and I(wait) or ''
    stand(l, (starts > 0 and 't' .. (l[0] > 0 and 1 or 0) .. I(l.ps) or '-') .. 'w' .. at, starts > 0, wait)
    l.st = starts
    l.touched = false
    local used = ready > 0 or l.active > 0
    count_word(l, used and (WORDS[M.waiting(l)] or 1) or 0, starts > 0 and ready or 0)
    if l.us - l.before.us > 3600000 then
        call('ZADD', P .. 'idle', l.us, l.name)
    else
        l.us = l.before.us > 0 and l.before.us or l.us
    end
    write(l.key, l, l.before, LANE)
end
-- The site's cap leaves room again: as many lanes as may start something take their turn.
local function free_site(s)
    local room = s.ma > 0 and s.ma - M.active_of(s) or STEP
    s.freed = nil
    if room <= 0 then
        return
    end
    for _, turn in ipairs(call('ZRANGE', s.key .. ':f', 0, STEP - 1)) do
        if room <= 0 then
            return
        end
        local l = M.lane(string.sub(turn, 11))
        if l then
            place(l)
            room = room - (l.st > 0 and 1 or 0)
        else
            call('ZREM', s.key .. ':f', turn)
        end
    end
end
-- Everything that was changed takes its place.
function M.places()
    for _, l in pairs(lanes) do
        if l.touched then
            place(l)
        end
    end
    for _, s in pairs(sites) do
        if s.freed then
            free_site(s)
        end
    end
    for _, t in pairs(tenants) do
        if t.touched then
            t.touched = false
            place_tenant(t)
        end
    end
end
-- Whether nothing but this lane, its tenant and its site waits for its place.
function M.only_touched(lane)
    for _, l in pairs(lanes) do
        if l.touched and l ~= lane then
            return false
        end
    end
    for _, s in pairs(sites) do
        if s.freed then
            return false
        end
    end
    return not tenant_full(lane.tenant)
end
-- What time has opened takes its turn, some at once: what is left is due still.
function M.wake()
    for _, turn in ipairs(call('ZRANGEBYSCORE', P .. 'waits', '-inf', now, 'LIMIT', 0, WAKES)) do
        local l = M.lane_if_sound(string.sub(turn, 11))
        if l then
            l.touched = true
        else
            call('ZREM', P .. 'waits', turn)
        end
    end
    M.places()
end
-- New ones in their order: whom a job waits for is there before it is.
local function write_jobs()
    local fresh = {}
    for _, j in pairs(jobs) do
        if j.before.sq == 0 and not j.gone then
            fresh[#fresh + 1] = j
        elseif not j.gone then
            write(j.key, j, j.before, JOB)
        end
    end
    if #fresh > 1 then
        table.sort(fresh, function(x, y) return x.sq < y.sq end)
    end
    for _, j in ipairs(fresh) do
        write(j.key, j, j.before, JOB)
    end
end
local function write_all()
    M.places()
    M.write_indexes()
    for _, l in pairs(lanes) do
        if l.meter then
            pcall(M.write_meter, l) -- foreign data there costs what was counted, and no job
        end
    end
    for _, t in pairs(tenants) do
        write(t.key, t, t.before, TENANT)
    end
    for _, s in pairs(sites) do
        write(s.key, s, s.before, SITE)
    end
    write_events()
    write_jobs()
    write(P .. 'meta', meta, meta_before, META)
    for key, text in pairs(requests) do
        call('SET', key, text, 'PX', KEY_MS)
    end
    requests = {}
end
-- What follows from what is written, and only then: f() may change more, and is followed by what it adds.
local behind = {}
function M.behind(f)
    behind[#behind + 1] = f
end
function M.flush()
    if M.stepped then
        M.event(nil, 'queue.clock', '{"back_ms":' .. I(M.stepped) .. '}')
        M.stepped = nil
    end
    write_all()
    while #behind > 0 do
        local some = behind
        behind = {}
        for _, f in ipairs(some) do
            f()
        end
        write_all()
    end
    -- Whoever waits for work is told, one at a time; who took some tells of what is left. All is there already: whoever cannot
    -- be told looks by himself in the end.
    if M.left or (M.leases and call('EXISTS', P .. 'tz1') == 1) then
        redis.pcall('ZADD', P .. 'wake', 0, 'w')
    end
end

-- part
-- ---- jobs move ----

local function lane_awakes(l)
    if ready_of(l) == 0 then
        l.ps = max(l.ps, l.tenant.vt)
        if call('EXISTS', l.tenant.key .. ':n') == 0 then
            l.tenant.ps, l.tenant.touched = max(l.tenant.ps, meta.tvt), true
        end
        call('SADD', l.tenant.key .. ':n', l.name)
        call('SADD', l.site.key .. ':n', l.name)
    end
end
-- Looked at before, which is seldom: one that left its turn because it cannot start (M.ready_job) was counted out already.
local function lane_sleeps(l)
    if ready_of(l) <= 0 then
        M.write_indexes()
        l[0], l[1] = call('ZCARD', l.key .. ':0'), call('ZCARD', l.key .. ':1')
    end
    if ready_of(l) == 0 then
        call('SREM', l.tenant.key .. ':n', l.name)
        call('SREM', l.site.key .. ':n', l.name)
    end
end
-- A member of the ready jobs goes.
function M.drop_ready(l, n, member)
    local front = l.front and l.front[n]
    take(l.key .. ':' .. TEXTS[n], member, false)
    l[n] = l[n] - 1
    if front and front[front.at] == member then
        front.at = front.at + 2
    else
        l.front = nil
    end
    lane_sleeps(l)
end
-- The ready job that is first by rank, and its rank: read with some that follow it when a script does several things, until
-- another one comes in.
function M.first_ready(l, n)
    l.front = l.front or {}
    local front = l.front[n]
    if not front or not front[front.at] then
        M.write_indexes()
        front = call('ZRANGE', l.key .. ':' .. TEXTS[n], '0', indexes and '31' or '0', 'WITHSCORES')
        front.at = 1
        l.front[n] = front
    end
    return front[front.at], N(front[front.at + 1])
end
local function last_ready(l, n)
    M.write_indexes()
    local top = call('ZREVRANGE', l.key .. ':' .. TEXTS[n], '0', '0', 'WITHSCORES')
    return top[1], N(top[2])
end
-- Of all that the lane has ready for these needs, what is first by rank, or last: member, and which needs.
local function ready_at(l, needs, last)
    local found, rank, at
    for n = 0, needs do
        local top, top_rank
        if l[n] > 0 then
            top, top_rank = (last and last_ready or M.first_ready)(l, n)
        end
        if top and (not found or (top_rank < rank or (top_rank == rank and top < found)) ~= last) then
            found, rank, at = top, top_rank, n
        end
    end
    return found, at
end
-- The job of a member; nil: a script that failed half-way has left that. Fails when it could not start, for what is foreign
-- under its keys.
local function startable(l, n, member)
    local j = M.job(id_of(member))
    if not j or j.st ~= READY or j.ln ~= l.name or j.nd ~= n or j.member ~= member then
        return nil
    elseif not j.fixed then
        M.sound(j, true, j.nb > 0 or j.mk == 2)
    end
    return j
end
local STRAYS = 16
-- The ready job of the lane that starts first, or last, of those whose needs can be met, and how many went: members without a
-- job, so many at once, and a job that cannot start, which the walk puts back when it can.
function M.ready_job(l, needs, last)
    for gone = 0, STRAYS - 1 do
        local member, n = ready_at(l, needs, last)
        if not member then
            return nil, gone
        end
        local well, j = pcall(startable, l, n, member)
        if well and j then
            return j, gone
        elseif not well then
            M.event(nil, 'queue.damaged', '{"job":"' .. string.gsub(id_of(member), '[^%w_]', '') .. '"}')
        end
        M.drop_ready(l, n, member)
        l.touched, M.strayed = true, true
    end
    return nil, STRAYS
end
-- Of the ready jobs whose needs can be met the first of which `fits` says so: of each kind of needs `most` are looked at, of all
-- kinds `left` beside the first ones, and a job that cannot start is left to M.ready_job() and the walk. How many of these were
-- looked at.
function M.fitting_job(l, needs, most, left, fits)
    local found, rank, member, looked = nil, nil, nil, 0
    M.write_indexes()
    for n = 0, needs do
        local tops = l[n] > 0 and call('ZRANGE', l.key .. ':' .. TEXTS[n], '0', I(min(most, left - looked + 1) - 1), 'WITHSCORES') or {}
        for i = 1, #tops, 2 do
            local at = N(tops[i + 1])
            if found and (at > rank or (at == rank and tops[i] > member)) then
                break
            end
            looked = looked + (i > 1 and 1 or 0)
            local is_hash, v = pcall(call, 'HMGET', P .. 'j:' .. id_of(tops[i]), 'me', 'am')
            if is_hash and fits(N(v[1]), N(v[2])) then
                local well, j = pcall(startable, l, n, tops[i])
                if well and j then
                    found, rank, member = j, at, tops[i]
                    break
                end
            end
        end
    end
    return found, looked
end
-- Dead jobs of one class, site and fingerprint.
local function group_of(j)
    return string.format('%02d', j.fl) .. '\n' .. M.fixed(j.id)[1] .. '\n' .. j.fp
end
local function leave_group(j)
    local group = group_of(j)
    call('ZREM', P .. 'pr:' .. group, j.id)
    if call('EXISTS', P .. 'pr:' .. group) == 0 then
        call('ZREM', P .. 'prints', group)
    end
    j.fp = ''
end
-- Stored only where it is another: of a job that was given back, which keeps the one that it had. A held job (ra INF) has
-- in hr when it could start else; 0 at once.
local function rank_of(j)
    return j.rk ~= 0 and j.rk or j.ra - j.pr * AGING
end
-- Takes it out of every index of its state.
local function leave_state(j)
    local l = M.lane(j.ln)
    take(P .. 's:' .. TEXTS[j.st], j.id, false)
    counts[j.st] = counts[j.st] and counts[j.st] - 1
    if j.ba ~= '' then
        call('ZREM', P .. 'b:' .. j.ba .. ':' .. j.st, j.id)
    end
    if j.st < ACTIVE and j.ov > 0 then
        call('ZREM', P .. 'over', j.member)
    end
    if j.st == READY then
        M.drop_ready(l, j.nd, j.member)
    elseif j.st == SCHEDULED then
        call('ZREM', P .. 'sched', j.member)
        call('ZREM', l.key .. ':s', j.id)
    elseif j.st == BLOCKED then
        call('ZREM', l.key .. ':b', j.id)
    elseif j.st == ACTIVE then
        take(P .. 'act', j.member, false)
        take(l.key .. ':a', j.id, true)
        take(l.tenant.key .. ':a', j.id, true)
        take(l.site.key .. ':a', j.id, true)
        count_active(l, -1)
        l.site.freed = l.site.freed or l.site.ma > 0
        l.tenant.touched = l.tenant.touched or l.tenant.ma > 0
        if j.sb > 0 then
            call('ZREM', P .. 'stop', j.member)
        end
        if j.rq ~= '' then
            call('HDEL', P .. 'asked', j.wo .. ':' .. j.rq)
        end
    else
        if j.st == DEAD and j.fp ~= '' then
            leave_group(j)
        end
        take(P .. (j.st == DEAD and 'dead' or 'done'), j.member, false)
        take(l.key .. ':e', j.id, true)
        meta.kept = meta.kept - (j.st ~= DEAD and j.by or 0)
    end
    l.us, l.touched = now, true
end
-- Puts it into every index of state `to`, in lane `l`; its times are set already.
local function enter_state(j, to, l)
    j.st, j.ln = to, l.name
    put(P .. 's:' .. TEXTS[to], j.id, j.sq)
    counts[to] = counts[to] and counts[to] + 1
    if j.ba ~= '' then
        call('ZADD', P .. 'b:' .. j.ba .. ':' .. to, j.sq, j.id)
    end
    if to < ACTIVE and j.ov > 0 then
        call('ZADD', P .. 'over', j.ov, j.member)
    end
    if to == READY then
        lane_awakes(l)
        put(l.key .. ':' .. TEXTS[j.nd], j.member, rank_of(j))
        l[j.nd], l.front = l[j.nd] + 1, nil
    elseif to == SCHEDULED then
        call('ZADD', P .. 'sched', j.ra, j.member)
        call('ZADD', l.key .. ':s', j.sq, j.id)
    elseif to == BLOCKED then
        call('ZADD', l.key .. ':b', j.sq, j.id)
    elseif to == ACTIVE then
        put(P .. 'act', j.member, j.le)
        put(l.key .. ':a', j.id)
        put(l.tenant.key .. ':a', j.id)
        put(l.site.key .. ':a', j.id)
        count_active(l, 1)
        l.tenant.touched = l.tenant.touched or l.tenant.ma > 0
    else
        put(P .. (to == DEAD and 'dead' or 'done'), j.member, j.fa)
        put(l.key .. ':e', j.id)
        meta.kept = meta.kept + (to ~= DEAD and j.by or 0)
    end
    l.us, l.touched = now, true
end
local function tenant_of(j)
    return M.lane(j.ln).te
end
-- Pointers to live jobs: by unique key, and by the work that they do.
local function point(j)
    if j.uk ~= '' then
        call('HSET', P .. (j.st == BLOCKED and 'uniqb' or 'uniq'), tenant_of(j) .. '\n' .. j.uk, j.id)
    end
    if j.wk ~= '' and j.st ~= BLOCKED then
        call('ZADD', P .. 'wk:' .. j.wk, j.sq, j.id)
    end
end
local function unpoint(j)
    if j.uk ~= '' then
        local pointers, field = P .. (j.st == BLOCKED and 'uniqb' or 'uniq'), tenant_of(j) .. '\n' .. j.uk
        if call('HGET', pointers, field) == j.id then
            call('HDEL', pointers, field)
        end
    end
    if j.wk ~= '' and j.st ~= BLOCKED then
        call('ZREM', P .. 'wk:' .. j.wk, j.id)
    end
end
-- By when they ended; who reads it looks whether a job is there.
function M.results_of(tenant, key)
    return P .. 'ua:' .. tenant .. '\n' .. key
end
-- Fails when somebody else has put something where these are offered.
function M.sound_results(tenant, work, key)
    if work ~= '' then
        call('ZCARD', P .. 'wa:' .. work)
    end
    if key ~= '' then
        call('ZCARD', M.results_of(tenant, key))
    end
end
-- Its result may become another's: that of equal work, or of an order with its unique key.
function M.offer_result(j, at)
    if j.wk ~= '' then
        call('ZADD', P .. 'wa:' .. j.wk, at, j.id)
    end
    if j.uk ~= '' then
        call('ZADD', M.results_of(tenant_of(j), j.uk), at, j.id)
    end
end
-- The live job of the tenant with this key, the blocked one or the other; pointers are verified.
function M.live(tenant, key, blocked)
    local id = call('HGET', P .. (blocked and 'uniqb' or 'uniq'), tenant .. '\n' .. key)
    local j = id and M.job(id)
    return j and j.uk == key and j.st <= ACTIVE and (j.st == BLOCKED) == blocked and j or nil
end
-- One that is held does nothing that others could wait for.
function M.live_work(work)
    for _, id in ipairs(call('ZRANGE', P .. 'wk:' .. work, 0, STEP - 1)) do
        local j = M.job(id)
        if j and j.st <= ACTIVE and j.st ~= BLOCKED and j.ra < INF then
            return j
        end
    end
end
function M.accept(j, to, l)
    enter_state(j, to, l)
    point(j)
end
local function move(j, to, l)
    leave_state(j)
    enter_state(j, to, l or M.lane(j.ln))
    j.rv = j.rv + 1
end
M.move = move

M.start_at, M.next_tat, M.site_full, M.leave_state, M.enter_state, M.point, M.unpoint, M.id_of = start_at, next_tat, site_full, leave_state,
    enter_state, point, unpoint, id_of

M.ended = {0, 0, 0, 0, 0, 0, 0} -- by enum outcome
M.leased = {} -- leases that are part of the reply
-- As it is kept, for who asks again.
local function short(reply)
    local texts = {}
    for i, lease in ipairs(M.leased) do
        texts[i] = {[TEXT] = lease[TEXT], [CURSOR] = lease[CURSOR], [KNOWN] = lease[KNOWN]}
        for at, text in pairs(texts[i]) do
            lease[at] = text == '' and text
        end
    end
    local packed = cmsgpack.pack(reply)
    for i, lease in ipairs(M.leased) do
        for at, text in pairs(texts[i]) do
            lease[at] = text
        end
    end
    return packed
end
local function done(...)
    M.flush()
    local reply = {...}
    M.ended[#M.ended + 1] = meta.ev
    M.ended[#M.ended + 1] = M.mark
    reply[#reply + 1] = M.ended
    if CALL ~= '' then
        call('HSET', P .. 'last', NODE, CALL .. '|' .. short(reply))
    end
    return reply
end
