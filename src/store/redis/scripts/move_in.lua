-- move_in.lua - rows of a move from elsewhere come in, what is there already stays (store/transfer.h); marks; a store is emptied.
-- ARGV: 'rows', kind, names of the fields, the fields of all rows behind each other, then the mark or ''; 'mark', the mark ('': only
-- says it), schema, what it is while nobody may use the store; 'empty'; 'clear': some keys; 'release': some running jobs are given back, and
-- what was accepted comes in; 'finish', epoch
-- Reply: {R_OK}; of 'mark' {R_OK, state, mark, epoch, id of the archive that services use}; of 'empty' {R_OK, 1 or 0}; of 'clear', 'release' {R_OK, whether that is the end}
-- with ends.lua, take.lua, batches.lua, batch_pieces.lua, schedules.lua
local DAY = 86400000
local verb = A[1]
local put = {}

function put.service(v)
    meta.mode, meta.amax = N(v.mode), N(v.active_max)
    if v.by ~= '' or v.why ~= '' or N(v.since) > 0 then
        call('HSET', P .. 'meta', 'mby', v.by, 'mwhy', v.why, 'mat', v.since)
    end
end
function put.limits(v)
    if v.scope == '1' then
        local t = M.tenant(v.name)
        t.th, t.ma, t.we = v.th, N(v.max_active), N(v.weight)
        call('ZADD', P .. 'tenants', 0, v.name)
        return
    elseif v.scope == '3' then -- the webhook comes behind it
        call('HSET', P .. 'wh:' .. v.name, 'ma', v.max_active, 'em', v.emit_ms, 'bu', v.burst, 'ta', v.tat)
        return
    end
    local s = M.site(v.name)
    s.ma, s.em, s.bu, s.ta = N(v.max_active), N(v.emit_ms), N(v.burst), N(v.tat)
    call('ZADD', P .. 'sites', 0, v.name)
    if s.em > 0 then
        call('ZADD', P .. 'rated', 0, v.name)
    end
end
function put.lanes(v)
    if M.lane(v.name) then
        return
    end
    local l = M.lane_want(v.name, {te = v.te, si = v.si, cl = N(v.cl), th = v.th})
    l.ta, l.bu, l.bs, l.bf, l.bt, l.tr, l.fo = N(v.tat), N(v.blocked_until), N(v.breaker), N(v.breaker_fails), N(v.breaker_until),
        N(v.breaker_trips), N(v.forced_until)
    l.bn = N(v.breaker_since)
    l.ow, l.oa, l.oe, l.ob, l.od, l.oo = N(v.own_weight) + 1, N(v.own_active) + 1, N(v.own_emit) + 1, N(v.own_burst) + 1,
        N(v.own_depth) + 1, N(v.own_overflow) + 1
    l.op = N(v.own_prio) + 1
    l.pa, l.co = N(v.paused), N(v.closed)
    if v.note_by ~= '' or v.note_why ~= '' or N(v.note_at) > 0 then
        call('HSET', l.key, 'nby', v.note_by, 'nwhy', v.note_why, 'nat', v.note_at)
    end
end
function put.sessions(v)
    local key = P .. 'ses:' .. v.id
    if call('EXISTS', key) == 1 then
        return
    end
    call('HSET', key, 'site', v.site, 'pool', v.pool, 'name', v.name, 'emit', v.emit_ms, 'burst', v.burst, 'most', v.max_active, 'tat', v.tat,
         'used', v.used_at, 'ok', v.last_ok_at, 'fails', v.fails, 'locked', v.locked_at, 'reason', v.lock_reason, 'refused', v.refused_at,
         'refusal', v.refusal, 'count', v.cookie_count, 'version', v.cookie_version, 'expires', v.expires_at, 'print', v.print,
         'created', v.created_at, 'updated', v.updated_at, 'revision', v.revision)
    if v.cookies ~= '' then
        call('SET', P .. 'sc:' .. v.id, v.cookies)
    end
    call('HSET', P .. 'snames', v.site .. '\n' .. v.name, v.id)
    call('SADD', P .. 'sname:' .. v.name, v.id)
    call('ZADD', P .. 'pool:' .. v.site .. ':' .. v.pool, 0, v.name .. ':' .. v.id)
    call('ZADD', P .. 'sessions', 0, v.site .. '\n' .. v.pool .. '\n' .. v.name .. '\n' .. v.id)
end
function put.rests(v)
    call('HSET', P .. 'sr:' .. v.session, v.operation, v['until'])
end
function put.hours(v)
    call('HSET', P .. 'so:' .. v.session, v.hour, v.leases, 'r' .. v.hour, v.requests)
end
function put.marks(v)
    local key = P .. 'mk:' .. table.concat({v.site, v.kind, v.target, v.variant}, '\n')
    call('HSET', key, 'posts', v.posts, 'at', v.updated_at)
    call('ZADD', P .. 'marks', v.updated_at, key)
end
local function set_fields(key, pairs_of)
    local set = {}
    for i = 1, #pairs_of, 2 do
        if pairs_of[i + 1] ~= '' and pairs_of[i + 1] ~= '0' then
            set[#set + 1] = pairs_of[i]
            set[#set + 1] = pairs_of[i + 1]
        end
    end
    if #set > 0 then
        call('HSET', key, unpack(set))
    end
end
function put.batches(v)
    local key = P .. 'b:' .. v.id
    if call('EXISTS', key) == 1 then
        return
    end
    set_fields(key, {'n', v.number, 'te', v.tenant, 'na', v.name, 'se', v.sealed, 'st', v.stopped, 'sa', v.stop_after, 'pl', v.parallel,
                     'gw', v.gone_well, 'go', v.gone_other, 'ik', v.key, 'rv', v.revision, 'ca', v.created_at, 'ua', v.updated_at, 'fa',
                     v.finished_at})
    set_fields(key .. ':c', {'t0', v.on_complete, 'p0', v.p0, 'b0', v.b0, 'j0', v.j0, 't1', v.on_success, 'p1', v.p1, 'b1', v.b1, 'j1', v.j1})
    call('ZADD', P .. 'batches', v.number, v.id)
    call('ZADD', P .. 'bempty', v.updated_at, v.id)
    if v.key ~= '' then
        call('HSET', P .. 'bidem', v.tenant .. '\n' .. v.key, v.hash .. '|' .. v.id)
    end
end
function put.calls(v)
    local c = v.kind
    set_fields(P .. 'b:' .. v.batch .. ':c', {'at' .. c, v.at, 'job' .. c, v.job, 'due' .. c, v.due, 'why' .. c, v.why})
    if v.due ~= '0' then
        call('ZADD', P .. 'bcdue', v.due, c .. ':' .. v.batch)
    end
end
function put.adds(v)
    call('HSET', P .. 'b:' .. v.batch .. ':a', v.key, v.hash .. '|' .. v.added)
end
function put.schedules(v)
    if S.of(v.id) then
        return
    end
    local c = S.new(v.id)
    local numbers = {ki = 'kind', iv = 'interval_ms', lo = 'least_ms', mo = 'most_ms', pw = 'posts_wanted', ji = 'jitter_ms', st = 'start_at',
                     en = 'end_at', mi = 'missed', ov = 'overlap', cu = 'catch_up_ms', cm = 'catch_up_max', gr = 'grace_ms', pa = 'paused_at',
                     an = 'anchor', ls = 'last_slot', nx = 'next_at', fi = 'fired', sk = 'skipped', ps = 'passed', fo = 'found', rd = 'read_at',
                     rv = 'revision', ca = 'created_at', ua = 'updated_at', sh = 'share'}
    for field, name in pairs(numbers) do
        c[field] = N(v[name])
    end
    c.te, c.na, c.cr, c.zo, c.pb, c.py, c.lj = v.tenant, v.name, v.cron, v.zone, v.paused_by, v.paused_why, v.last_job
    call('HSET', c.key .. ':t', 'ticket', v.ticket, 'job', v.job)
    call('HSET', P .. 'sdi', v.tenant .. '\n' .. v.name, v.id)
    call('ZADD', P .. 'sdn:' .. v.tenant, 0, v.name)
    S.write(c)
    S.set_wake(c, 0) -- whoever looks says when it is time again
end
function put.operations(v)
    local key = P .. 'op:' .. v.id
    if call('EXISTS', key) == 1 then
        return
    end
    set_fields(key, {'oid', v.number, 'kind', v.kind, 'state', v.state, 'ba', v.batch, 'failure', v.failure, 'site', v.site, 'jk', v.kind_of_job,
                     'fp', v.fingerprint, 'since', v.since, 'til', v['until'], 'reset', v.reset, 'rate', v.per_minute, 'cursor', v.cursor,
                     'last', v.last, 'due', v.due, 'done', v.done, 'skipped', v.skipped, 'ca', v.created_at, 'ua', v.updated_at, 'fa',
                     v.finished_at, 'many', v.many, 'states', v.states, 'class', v.many == '1' and v.class or '0', 'tenant', v.tenant, 'target',
                     v.target, 'lane', v.lane, 'held', v.held, 'most', v.most, 'prio', v.prio, 'why', v.why, 'whyj', v.whyj, 'labels', v.labels})
    call('ZADD', P .. 'ops', v.number, v.id)
    if v.state == '0' then
        call('ZADD', M.due_index(v.labels), v.due, v.id)
        if v.batch ~= '' then
            call('HSET', P .. 'b:' .. v.batch, 'op', v.id)
        end
    else
        call('ZADD', P .. 'opend', v.finished_at, v.id)
    end
end

-- ---- jobs ----

local NUMBERS = {pr = 'prio', ra = 'run_at', ov = 'over_at', de = 'deadline_at', am = 'attempt_ms', sm = 'stall_ms', nd = 'needs', me = 'memory',
                 so = 'source', rg = 'result_age', ge = 'generation', fe = 'fence', cq = 'cancel_asked', nf = 'n_fail', nc = 'n_crash', nt = 'n_throttle',
                 nr = 'n_release', nk = 'n_ok', nv = 'n_void', mf = 'max_fail', mc = 'max_crash', mt = 'max_throttle', fb = 'fail_base',
                 cb = 'crash_base', rb = 'release_base', nb = 'next_batch', ha = 'have', us = 'users', by = 'bytes', rj = 'rejected',
                 cf = 'conflicts', fi = 'filtered', mk = 'mark', fl = 'failure', ve = 'verdict', en = 'end_reason', rv = 'revision', ca = 'created_at',
                 sa = 'started_at', fa = 'finished_at', li = 'limit', co = 'counts', hr = 'held_start', wh = 'waits_how'}
local function put_texts(v)
    call('SET', P .. 'p:' .. v.id, v.fixed)
    local set = {}
    local function add(field, text, wanted)
        if wanted then
            set[#set + 1] = field
            set[#set + 1] = text
        end
    end
    add('cu', v.cursor, v.cursor ~= '')
    add('kn', v.known, v.has_known == '1')
    add('wh', v.why, v.why ~= '')
    add('re', v.report, v.report ~= '')
    if #set > 0 then
        call('HSET', P .. 't:' .. v.id, unpack(set))
    end
end
-- Who waits for it, and for whom it waits, may come before it or behind.
local function put_waits(j, v)
    if j.st == BLOCKED then
        j.wt = v.waits_on
        call('ZADD', P .. 'wt:' .. j.wt, j.sq, j.id)
        local st = call('HGET', P .. 'j:' .. j.wt, 'st')
        if st and N(st) >= SUCCEEDED then
            call('ZADD', P .. 'unset', 0, j.wt)
        end
    end
    if j.st >= SUCCEEDED and call('EXISTS', P .. 'wt:' .. j.id) == 1 then
        call('ZADD', P .. 'unset', 0, j.id)
    end
    if v.shared_from ~= '' then
        j.sf = v.shared_from
        call('SADD', P .. 'sh:' .. j.sf, j.id)
    end
end
-- The last of each row of a batch of which only so many run at once: nobody of it waits for them.
local function put_row(j)
    local key = P .. 'b:' .. j.ba
    call('ZREM', P .. 'bempty', j.ba)
    if N(call('HGET', key, 'pl')) == 0 or j.st >= SUCCEEDED then
        return
    end
    if call('EXISTS', P .. 'wt:' .. j.id) == 0 then
        call('ZADD', key .. ':t', j.sq, j.id)
    end
    if j.wt ~= '' then
        call('ZREM', key .. ':t', j.wt)
    end
end
function put.jobs(v)
    if M.job(v.id) then
        return
    end
    local seq, l = meta.seq, M.lane(v.lane)
    local used = l.us
    local j = M.job_new({id = v.id})
    meta.seq = max(seq, N(v.number))
    j.sq, j.member = N(v.number), string.format('%012d:%s', N(v.number), v.id)
    for field, name in pairs(NUMBERS) do
        j[field] = N(v[name])
    end
    j.uk, j.wk, j.fp, j.ba, j.ug, j.hk = v.unique_key, v.work, v.fingerprint, v.batch, v.usage, v.hk
    j.ec, j.st = N(v.events), N(v.state)
    local rank = N(v.rank)
    j.rk = j.st == READY and rank ~= j.ra - j.pr * AGING and rank or 0
    put_texts(v)
    put_waits(j, v)
    if j.st <= ACTIVE then
        M.accept(j, j.st, l)
    else
        M.enter_state(j, j.st, l)
    end
    l.us = used
    if j.st == SUCCEEDED then
        M.offer_result(j, j.fa)
    elseif j.st == DEAD and j.fp ~= '' then
        call('ZADD', P .. 'prints', 0, group_of(j))
        call('ZADD', P .. 'pr:' .. group_of(j), j.fa, j.id)
    end
    if j.ba ~= '' then
        put_row(j)
    end
end
function put.requests(v)
    local left = max(KEY_MS - (now - N(v.at)), DAY) -- whether it counts still is for its own time to say
    call('SET', P .. 'idem:' .. v.tenant .. ':' .. v.key, v.hash .. '|' .. v.at .. '|' .. v.job, 'PX', I(left))
end
function put.runs(v)
    local key, n, state = P .. 'sd:' .. v.schedule, v.number, N(v.state)
    local run = {slot = N(v.slot), cause = N(v.cause), state = state, why = N(v.why), slots = N(v.slots), job = state == 0 and v.pending or v.job,
                 at = N(v.at), ended = N(v.ended_at), job_state = N(v.job_state), found = N(v.found)}
    call('HSET', key .. ':r', n, cmsgpack.pack(run))
    call('HSET', key .. ':s', v.slot .. ':' .. v.cause, n)
    call('ZADD', key .. ':n', n, n)
    local index = ({[0] = ':p', ':l', v.fresh == '1' and ':f' or ':d', ':d'})[state]
    call('ZADD', key .. index, n, n)
    local j = state == 1 and M.job(v.job)
    if j then
        j.rs = v.schedule .. ' ' .. n
    end
end
function put.webhooks(v)
    set_fields(P .. 'wh:' .. v.id, {'na', v.name, 'ur', v.url, 'ty', v.types, 'se', v.secret, 'sn', v.secret_number, 'os', v.old_secret,
               'ou', v.old_until, 'en', v.enabled, 'of', v.off_at, 'ow', v.off_why, 'pl', v.place, 'see', v.seen, 're', v.rest_until,
               'fa', v.fails, 'fs', v.failing_at, 'ok', v.delivered, 'bad', v.failed, 'dd', v.dead, 'mi', v.missed, 'lo', v.last_ok_at,
               'ca', v.created_at, 'ua', v.updated_at, 'rv', v.revision})
    call('ZADD', P .. 'hooks', 0, v.id)
end
function put.hands(v)
    local key = P .. (({[0] = 'l:', 'ses:', 'wh:'})[N(v.of)]) .. v.key
    if call('EXISTS', key) == 1 then
        call('HSET', key, 'hb', v.by, 'hw', v.why, 'ha', v.at, 'hu', v['until'])
    end
end
function put.deliveries(v)
    local key, hook, n = P .. 'd:' .. v.number, P .. 'wh:' .. v.webhook, v.number
    if call('EXISTS', key) == 1 then
        return
    end
    set_fields(key, {'sq', v.seq, 'st', v.state, 'at', v.at, 'du', v.due, 'an', v.attempts, 'hs', v.status, 'ea', v.ended_at, 'id', v.id, 'wh',
                     v.webhook, 'su', v.subject, 'ev', v.event, 'ki', v.kind, 'bo', v.body, 'wy', v.why})
    call('HSET', P .. 'dids', v.id, n)
    call('ZADD', hook .. ':a', n, n)
    call('ZADD', hook .. ':' .. v.state, n, n)
    if v.state == '0' and call('RPUSH', hook .. ':q:' .. v.subject, n) == 1 then
        call('ZADD', hook .. ':d', v.due, n)
    end
end
-- In the order of their numbers; what the log has already is behind meta.ev.
function put.events(v)
    local seq, n, id = N(v.seq), N(v.number), v.subject
    if seq <= meta.ev then
        return
    end
    meta.ev = seq
    local packed = v.at .. '|' .. v.kind .. '|' .. v.body
    if n == 0 then
        log('j', id, 'n', 0, 'e', packed)
    else
        log('j', id, 'n', n)
    end
    if n == 1 then
        local j, state = M.job(id), string.match(v.body, '"state":"(%a+)"')
        for st = BLOCKED, EXPIRED do
            if j and STATES[st] == state then
                j.es, j.as = seq, st + 1
            end
        end
    elseif id ~= '' then
        call('RPUSH', P .. 'e:' .. id, v.seq .. '|' .. packed)
    end
end

-- ---- media files ----

function put.files(v)
    local key = P .. 'f:' .. v.hash
    if call('EXISTS', key) == 1 then
        return
    end
    call('HSET', key, 'sx', v.suffix, 'mi', v.mime, 'by', v.bytes, 'at', v.first_seen)
    call('HINCRBY', P .. 'files', 'n', 1)
    call('HINCRBY', P .. 'files', 'by', v.bytes)
end
function put.urls(v)
    call('SADD', P .. 'f:' .. v.hash .. ':u', v.site .. '\n' .. v.url)
    call('HSET', P .. 'furl', v.site .. '\n' .. v.url, v.hash .. '|' .. v.status .. '|' .. v.at)
end
function put.holds(v)
    local bytes = N(call('HGET', P .. 'f:' .. v.hash, 'by'))
    if call('HSETNX', P .. 'jf:' .. v.job, v.hash, I(bytes)) == 1 then
        call('SADD', P .. 'f:' .. v.hash .. ':h', v.job)
        call('HINCRBY', P .. 'jf:' .. v.job, '', I(bytes))
    end
end
function put.counters(v)
    meta.seq, meta.ev = max(meta.seq, N(v.jobs)), max(meta.ev, N(v.events))
    call('HSET', P .. 'meta', 'bid', v.batches, 'oid', v.operations, 'did', v.deliveries, 'runs', v.runs)
end

-- ---- marks, emptying ----

local function set_mark(packed)
    local state = string.match(packed, '^%d+')
    meta.mv = N(state)
    if packed == '0' then
        call('DEL', P .. 'move')
    else
        call('SET', P .. 'move', packed)
    end
end
-- Versions that know no marks look only at this number, when they start. The right one is kept beside it; own: where there is none.
local function set_schema(own, held)
    local is, kept = unpack(call('HMGET', P .. 'meta', 'schema', 'hs'))
    if M.holds() and is ~= held then
        call('HSET', P .. 'meta', 'schema', held, 'hs', is or own)
    elseif not M.holds() and is == held then
        call('HSET', P .. 'meta', 'schema', kept or own)
        call('HDEL', P .. 'meta', 'hs')
    end
end
if verb == 'rows' then
    local names, v, n = {}, {}, 0
    for name in string.gmatch(A[3], '%S+') do
        names[#names + 1] = name
    end
    for _, text in ipairs(M.texts_of(A[4])) do
        n = n + 1
        v[names[n]] = text
        if n == #names then
            put[A[2]](v)
            v, n = {}, 0
        end
    end
    if A[5] ~= '' then
        set_mark(A[5])
    end
    return done(R_OK)
elseif verb == 'mark' then
    if A[2] ~= '' then
        set_mark(A[2])
        set_schema(A[3], A[4])
        return done(R_OK)
    end
    return {R_OK, meta.mv, call('GET', P .. 'move') or '', meta.epoch, call('HGET', P .. 'meta', 'ar') or ''}
elseif verb == 'empty' then
    local there = call('EXISTS', P .. 'lanes', P .. 'tenants', P .. 'sites', P .. 'batches', P .. 'sdi', P .. 'sessions', P .. 'hooks', P .. 'ev',
                       P .. 'ops', P .. 'marks')
    return {R_OK, there == 0 and meta.seq == 0 and 1 or 0}
elseif verb == 'clear' then
    local page = call('SCAN', A[2], 'MATCH', P .. '*', 'COUNT', 200)
    for _, key in ipairs(page[2]) do
        if key ~= P .. 'meta' and key ~= P .. 'move' then
            call('UNLINK', key)
        end
    end
    if page[1] == '0' then
        local mark, epoch = meta.mv, meta.epoch
        call('DEL', P .. 'meta')
        call('HSET', P .. 'meta', 'mv', mark, 'epoch', I(epoch), 'id', A[4], 'schema', A[3])
        set_schema(A[3], A[5])
    end
    return {R_OK, page[1]}
elseif verb == 'release' then
    local coming = call('ZRANGE', P .. 'bcoming', 0, 0)[1]
    if coming then -- jobs that were accepted are moved as jobs
        M.batch_enter(coming, true)
        return done(R_OK, 0)
    elseif M.batch_settle_next() then
        return done(R_OK, 0)
    end
    local leases, words = call('ZRANGE', P .. 'act', 0, 15), {'the store is moved', '"the store is moved"'}
    for _, member in ipairs(leases) do
        local j = M.job(id_of(member))
        if j then
            local out = {failure = 0, why = words}
            M.charge(j, B_RELEASE, 0, out)
            if out.on == E_GIVE_UP then
                out.failure, out.failure_name = F_CRASH, 'crash'
            end
            M.sign(M.lane(j.ln), SIGN_NONE, j.sq)
            M.leave(j, out)
        else
            call('ZREM', P .. 'act', member)
        end
    end
    return done(R_OK, #leases < 16 and 1 or 0)
end
meta.epoch = max(meta.epoch, N(A[2]))
call('HSETNX', P .. 'meta', 'schema', A[3])
meta.id = meta.id ~= '' and meta.id or A[4]
return done(R_OK)
