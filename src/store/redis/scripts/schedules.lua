-- schedules.lua - schedules and their runs: part of the scripts about them (store/schedules.h).
--
-- Keys behind the prefix:
--   sd:ID      a schedule: fields below; vn grows with every change. :t its ticket, and its job as it was given
--   sd:ID:r    its runs, packed, by number; :s number by slot and cause; :n all numbers, :l live ones, :p pending, :f ended
--              and not looked at yet, :d that may be forgotten
--   sdi sdn:T  tenant and name to id; names of a tenant
--   sdw0 sdw1  when somebody has to look at it, by the wall's time and by elapsed time; 0: a job of its has ended
local S = {PENDING = 0, SKIPPED = 3, BY_SLOT = 0, BY_TRIGGER = 1, BY_BACKFILL = 2, MISSED = 2, PAUSED = 3, GO_PASS = 1, GO_AFTER = 2}
do -- a chunk may have 200 locals, and all scripts share those of common.lua
local SCHEDULE = fields_of({
    te = '', na = '', cr = '', zo = '', pb = '', py = '', lj = '', ki = 0, iv = 0, lo = 0, mo = 0, pw = 0, ji = 0, st = 0, en = 0,
    mi = 0, ov = 0, cu = 0, cm = 0, gr = 0, pa = 0, an = 0, ls = 0, nx = 0, fi = 0, sk = 0, ps = 0, fo = 0, rd = 0, rv = 0, ca = 0,
    ua = 0, sh = 0, vn = 0
})
local PENDING, LIVE, ENDED, SKIPPED = S.PENDING, 1, 2, S.SKIPPED
local WHY_OVERLAP, WHY_REFUSED = 1, 4
local RUNS_KEPT, PRUNE_MOST, ALIVE_MOST, CANCELS_MOST, SCHEDULES_MAX = 500, 100, 64, 16, 10000

-- nil: there is none.
function S.of(id)
    local c, there = read(P .. 'sd:' .. id, SCHEDULE)
    if not there then
        return nil
    end
    c.id, c.key, c.before = id, P .. 'sd:' .. id, copy(c)
    return c
end
-- By id, when it is the tenant's, or by name.
function S.find(tenant, id, is_id)
    local c = S.of(is_id and id or call('HGET', P .. 'sdi', tenant .. '\n' .. id) or '')
    return c and c.te == tenant and c or nil
end
function S.new(id)
    local c = read(P .. 'sd:' .. id, SCHEDULE)
    c.id, c.key, c.before = id, P .. 'sd:' .. id, copy(c)
    return c
end
function S.is_full()
    return call('HLEN', P .. 'sdi') >= SCHEDULES_MAX
end
function S.write(c)
    c.vn = c.vn + 1
    write(c.key, c, c.before, SCHEDULE)
    c.before = copy(c)
end
local function wakes_of(c)
    return P .. 'sdw' .. min(c.ki, 1)
end
-- The next slot with its share of the jitter; 0: none.
function S.next_wake(c)
    return c.nx > 0 and c.nx + c.sh or 0
end
function S.set_wake(c, at, key)
    if at then
        call('ZADD', key or wakes_of(c), at, c.id)
    else
        call('ZREM', key or wakes_of(c), c.id)
    end
end
-- Who has not looked yet at a run that ended still has to: only schedule_attend.lua takes that back.
function S.wake(c)
    local at = S.next_wake(c)
    if call('ZSCORE', wakes_of(c), c.id) ~= '0' then
        S.set_wake(c, at > 0 and at or nil)
    end
end
function S.view(c)
    local wake, ended = call('ZSCORE', wakes_of(c), c.id), {}
    for i, n in ipairs(call('ZRANGE', c.key .. ':f', 0, ALIVE_MOST - 1)) do
        local run = S.run(c, n)
        ended[i] = {n, run.at, run.job_state, run.found}
    end
    local texts = call('HMGET', c.key .. ':t', 'ticket', 'job')
    return {call('HGETALL', c.key), c.id, call('ZCARD', c.key .. ':l'), call('ZCARD', c.key .. ':p'), wake or '', ended,
            texts[1] or '', texts[2] or ''}
end

-- ---- runs ----

function S.run(c, n)
    return cmsgpack.unpack(call('HGET', c.key .. ':r', n))
end
local function put_run(c, n, run)
    call('HSET', c.key .. ':r', n, cmsgpack.pack(run))
end
local function forget_old(c)
    local kept = call('ZREVRANGE', c.key .. ':n', RUNS_KEPT, RUNS_KEPT)[1]
    for _, n in ipairs(kept and call('ZRANGEBYSCORE', c.key .. ':d', '-inf', kept, 'LIMIT', 0, PRUNE_MOST) or {}) do
        local run = S.run(c, n)
        call('HDEL', c.key .. ':s', I(run.slot) .. ':' .. run.cause)
        call('HDEL', c.key .. ':r', n)
        call('ZREM', c.key .. ':n', n)
        call('ZREM', c.key .. ':d', n)
    end
end
local INDEX = {[PENDING] = ':p', [LIVE] = ':l', [ENDED] = ':f', [SKIPPED] = ':d'}
-- A job may have ended in the moment in which it came: another one had its result.
local function live_or_ended(c, n, run)
    local j = M.job(run.job)
    run.state = LIVE
    if j.st >= SUCCEEDED then
        run.state, run.ended, run.job_state, run.found = ENDED, j.fa, j.st, j.ha
        S.set_wake(c, 0)
    else
        j.rs = c.id .. ' ' .. n
    end
end
local function change_run(c, n, run, from)
    put_run(c, n, run)
    call('ZREM', c.key .. INDEX[from], n)
    call('ZADD', c.key .. INDEX[run.state], n, n)
end
-- A slot that was passed over has its job after all.
local function make_up(c, n, job)
    local run = S.run(c, n)
    if run.state == SKIPPED then
        run.why, run.job, run.at = 0, job, now
        live_or_ended(c, n, run)
        change_run(c, n, run, SKIPPED)
    end
end
-- Of slot and cause there is one: the first, or that which has a job. job: also of a pending one, which will have it.
function S.add_run(c, slot, cause, state, why, slots, job)
    local field = I(slot) .. ':' .. cause
    local before = call('HGET', c.key .. ':s', field)
    if before and state == LIVE then
        return make_up(c, before, job)
    elseif before then
        return
    end
    local n = I(call('HINCRBY', P .. 'meta', 'runs', 1))
    local run = {slot = slot, cause = cause, state = state, why = why, slots = slots, job = job or '', at = now, ended = 0,
                 job_state = 0, found = 0}
    if state == LIVE then
        live_or_ended(c, n, run)
    end
    put_run(c, n, run)
    call('HSET', c.key .. ':s', field, n)
    call('ZADD', c.key .. ':n', n, n)
    call('ZADD', c.key .. INDEX[run.state], n, n)
    forget_old(c)
end
-- Whether the slot was fired or passed over; with_job: whether it has, or had, a job.
function S.known(c, slot, with_job)
    for _, cause in ipairs({S.BY_SLOT, S.BY_BACKFILL}) do
        local n = call('HGET', c.key .. ':s', I(slot) .. ':' .. cause)
        local state = n and with_job and S.run(c, n).state
        if n and (not with_job or state == LIVE or state == ENDED) then
            return true
        end
    end
    return false
end
function S.drop_pending(c, why)
    for _, n in ipairs(call('ZRANGE', c.key .. ':p', 0, -1)) do
        local run = S.run(c, n)
        run.state, run.why, run.job = SKIPPED, why, ''
        change_run(c, n, run, PENDING)
    end
end
-- What was looked at.
function S.seen(c, n)
    if call('ZREM', c.key .. ':f', n) == 1 then
        call('ZADD', c.key .. ':d', n, n)
    end
end
-- Jobs that have not ended, newest first; whether one has started, and whether one has not or is pending.
function S.alive(c)
    local ids, running, waiting = {}, false, call('EXISTS', c.key .. ':p') == 1
    for i, n in ipairs(call('ZREVRANGE', c.key .. ':l', 0, ALIVE_MOST - 1)) do
        ids[i] = S.run(c, n).job
        local j = M.job(ids[i])
        if not j or j.fe > 0 then
            running = true
        else
            waiting = true
        end
    end
    return ids, running, waiting
end
-- For the walk: runs that did not hear of the end of their job, or whose job is gone. How many there were.
function S.end_runs(c)
    local ended = 0
    for _, n in ipairs(call('ZRANGE', c.key .. ':l', 0, ALIVE_MOST - 1)) do
        local run = S.run(c, n)
        local j = M.job(run.job)
        if not j or j.st >= SUCCEEDED then
            run.state, run.ended, run.job_state, run.found = ENDED, j and j.fa or now, j and j.st or CANCELLED, j and j.ha or 0
            change_run(c, n, run, LIVE)
            S.set_wake(c, 0)
            ended = ended + 1
        end
    end
    return ended
end
-- Whether something is to come, and nobody would look.
function S.is_asleep(c)
    return not call('ZSCORE', wakes_of(c), c.id) and (c.nx > 0 or call('EXISTS', c.key .. ':f') == 1)
end

-- ---- firing ----

-- The job of a run as the script was asked for it, from argument `at` on; nil: it is not acceptable. The times of its end
-- count from now.
function S.job_asked(at)
    local a = {unpack(A, at)}
    if #a == 0 then
        return nil
    end
    for i = 15, 16 do
        a[i] = N(a[i]) > 0 and now + N(a[i]) or 0
    end
    return a
end
-- {cause, job} and what became of it: made, known, pending, skipped, last, cancels
function S.firing(cause, job)
    return {cause = cause, job = job, made = 0, known = 0, pending = 0, skipped = 0, last = '', cancels = {}}
end
function S.fired(g, refusal)
    return g.made, g.known, g.pending, g.skipped, g.last, g.cancels, refusal or {}
end
local MADE, BEFORE, NOT = 1, 2, 3
-- nil: not now, and how accept.lua would say why.
function S.make(job, id)
    if not job then
        return NOT
    end
    job[1] = id
    local reply, taken = M.take(job)
    if taken then
        return MADE
    elseif reply[1] == R_OK or reply[1] == R_STATE or reply[1] == R_TAKEN then
        return BEFORE
    end
    return nil, reply
end
function S.fire_job(c, g, slot, id, slots)
    local made, refusal = S.make(g.job, id)
    if made == BEFORE then
        g.known = g.known + 1
    elseif made == NOT then
        g.skipped = g.skipped + 1
        S.add_run(c, slot, g.cause, SKIPPED, WHY_REFUSED, slots)
    elseif made == MADE then
        g.made, g.last = g.made + 1, id
        S.add_run(c, slot, g.cause, LIVE, 0, slots, id)
    end
    return refusal, made == MADE
end
-- The ones that run are told to stop, those that wait end at once.
local function cancel_all(ids, g)
    for _, id in ipairs(ids) do
        local j = M.job(id)
        if j and j.st == ACTIVE then
            M.ask_to_stop(j, 0, {'', '""'})
            g.cancels[#g.cancels + 1] = #g.cancels < CANCELS_MOST and id or nil
        elseif j and j.st < ACTIVE then
            M.end_waiting(j, CANCELLED, {'', '""'})
        end
    end
end
-- core/schedule.c, schedule_meet()
local GO, GO_PASS, GO_AFTER, GO_AND_CANCEL = 0, S.GO_PASS, S.GO_AFTER, 3
local OVERLAP_SKIP, OVERLAP_QUEUE_ONE, OVERLAP_ALLOW = 0, 1, 3
function S.meet(c)
    if c.ov == OVERLAP_ALLOW then
        return GO, {}
    end
    local ids, running, waiting = S.alive(c)
    if not running and not waiting then
        return GO, ids
    elseif c.ov == OVERLAP_SKIP then
        return GO_PASS, ids
    elseif c.ov == OVERLAP_QUEUE_ONE then
        return waiting and GO_PASS or GO_AFTER, ids
    end
    return GO_AND_CANCEL, ids
end
-- Returns why not, as accept.lua does, when the job cannot be made now.
function S.fire(c, g, slot, id, slots)
    local go, ids = S.meet(c)
    if go == GO_PASS then
        g.skipped = g.skipped + 1
        S.add_run(c, slot, g.cause, SKIPPED, WHY_OVERLAP, slots)
    elseif go == GO_AFTER then
        g.pending = g.pending + 1
        S.add_run(c, slot, g.cause, PENDING, 0, slots, id)
    else
        -- The new job first: when it is refused the old one goes on.
        local refusal, made = S.fire_job(c, g, slot, id, slots)
        if go == GO_AND_CANCEL and made then
            cancel_all(ids, g)
        end
        return refusal
    end
end
function S.counted(c, g)
    c.fi, c.lj = c.fi + g.made, g.last ~= '' and g.last or c.lj
end
-- The pending run gets its job when nothing of the schedule is alive. Returns whether it has to wait for room.
function S.make_pending(c, job)
    local n = call('EXISTS', c.key .. ':l') == 0 and call('ZRANGE', c.key .. ':p', 0, 0)[1]
    if not n then
        return false
    end
    local run = S.run(c, n)
    local made = S.make(job, run.job)
    if not made then
        return true
    elseif made == MADE then
        run.at = now
        S.counted(c, {made = 1, last = run.job})
        live_or_ended(c, n, run)
    else
        run.state, run.why, run.job = SKIPPED, WHY_REFUSED, ''
    end
    change_run(c, n, run, PENDING)
    return false
end
-- Lines "slot id".
function S.slots(text)
    local all = {}
    for slot, id in string.gmatch(text, '(%-?%d+) (%S+)\n') do
        all[#all + 1] = {N(slot), id}
    end
    return all
end
end
