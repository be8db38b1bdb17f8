-- operations.lua - a piece of an operation on many jobs: part of the scripts that begin them or go on with them, behind
-- batches.lua; where they may be of any kind (`many`), also behind find.lua and alter.lua.
M.RUNNING, M.DONE, M.STOPPED = 0, 1, 2
-- late
local DELETE, CANCEL, HOLD, PRIORITY = 1, 2, 3, 5
local PIECE, LOOKS, PAUSE, BEHIND, WAIT, GRACE = 25, 100, 5, 1000, 5000, 60000 -- Redis does nothing else during a piece

function M.operation_view(id)
    local fields = call('HGETALL', P .. 'op:' .. id)
    fields[#fields + 1] = 'id'
    fields[#fields + 1] = id
    return fields
end
local function filter_of(o)
    return {states = o.states, class = o.class, failure = o.failure, since = o.since, til = o.til, held = o.held == 1,
            tenant = o.tenant, site = o.site, kind = o.jk, target = o.target, lane = string.gsub(o.lane, '^%+', ''), labels = o.labels}
end
local function matches(o, j)
    if o.many == 1 then
        return M.fits(filter_of(o), j)
    elseif o.kind == CANCEL then
        return j.st < SUCCEEDED
    elseif j.st ~= DEAD and (o.ba == '' or j.st ~= EXPIRED) then
        return false
    end
    local f = (o.site ~= '' or o.jk ~= '') and M.fixed(j.id) or {}
    return j.fa >= o.since and j.fa <= o.til and (o.failure < 0 or o.failure == j.fl) and
        (o.site == '' or o.site == f[1]) and (o.jk == '' or o.jk == f[2]) and (o.fp == '' or o.fp == j.fp)
end
-- R_OK, R_FULL (not now), or R_STATE (left out).
local function touch(o, j)
    local why = {o.why, o.why == '' and '""' or o.whyj}
    if o.kind == DELETE then
        if j.st < SUCCEEDED or M.is_needed(j.id) then
            return R_STATE
        end
        M.forget(j)
        return R_OK
    elseif o.kind == CANCEL then
        if j.st == ACTIVE then
            M.ask_to_stop(j, GRACE, why)
        elseif j.st < ACTIVE then
            M.end_waiting(j, CANCELLED, why)
        end
        return (j.st <= ACTIVE or j.st == CANCELLED) and R_OK or R_STATE
    elseif o.kind >= HOLD then
        local event = o.kind == PRIORITY and 'job.changed' or o.kind == HOLD and 'job.held' or 'job.unheld'
        local hold, prio = o.kind == PRIORITY and 0 or o.kind == HOLD and 1 or 2, o.kind == PRIORITY and o.prio or -1
        local reply = M.alter({j.id, -1, hold, prio, -1, -1, -1, -1, -1, -1, '', '', why[1], why[2], event})
        return reply[1] == R_OK and R_OK or R_STATE
    end
    local said = M.replay(j, o.reset == 1)[1]
    return said == R_OK and R_OK or (said == R_MODE or said == R_CLOSED or said == R_FULL) and R_FULL or R_STATE
end
local function allowed(o, step)
    if step == 0 then
        return PIECE
    end
    o.due = max(o.due, now - BEHIND)
    return o.due > now and 0 or min(floor((now - o.due) / step) + 1, PIECE)
end
-- Where its jobs are: by number, in one index for each state.
local function indexes(o)
    if o.many == 1 then
        local keys = {}
        for st = 0, 7 do
            if o.states == 0 or floor(o.states / 2 ^ st) % 2 == 1 then
                keys[#keys + 1] = P .. 's:' .. st
            end
        end
        return keys
    elseif o.ba == '' then
        return {P .. 's:' .. DEAD}
    end
    local states, keys = o.kind == CANCEL and {BLOCKED, SCHEDULED, READY, ACTIVE} or {DEAD, EXPIRED}, {}
    for i, st in ipairs(states) do
        keys[i] = P .. 'b:' .. o.ba .. ':' .. st
    end
    return keys
end
-- {id, number} of the next ones, and whether there are no more behind them.
local function candidates(o)
    local found = {}
    for _, key in ipairs(indexes(o)) do
        local some = call('ZRANGEBYSCORE', key, '(' .. I(o.cursor), I(o.last), 'WITHSCORES', 'LIMIT', 0, LOOKS)
        for i = 1, #some, 2 do
            found[#found + 1] = {some[i], N(some[i + 1])}
        end
    end
    table.sort(found, function(a, b) return a[2] < b[2] end)
    local over = #found < LOOKS
    for i = #found, LOOKS + 1, -1 do
        found[i] = nil
    end
    return found, over
end
function M.operation_piece(o)
    local step = o.rate > 0 and floor((60000 + o.rate - 1) / o.rate) or 0
    local most = allowed(o, step)
    if o.most > 0 then
        most = min(most, o.most - o.done)
    end
    if most == 0 then
        return
    end
    local found, over = candidates(o)
    local touched, wait = 0, false
    for _, one in ipairs(found) do
        local j = M.job(one[1])
        if j and matches(o, j) then
            local said = touched < most and touch(o, j) or R_END
            wait = said == R_FULL
            if wait or said == R_END then
                over = false
                break
            end
            touched = touched + 1
            o.done, o.skipped = o.done + (said == R_OK and 1 or 0), o.skipped + (said == R_OK and 0 or 1)
            o.due = o.due + (said == R_OK and step or 0)
        end
        o.cursor = one[2]
    end
    if over or (o.most > 0 and o.done >= o.most) then
        M.operation_save(o, M.DONE)
        return
    end
    o.due = wait and now + WAIT or o.due > now and o.due or now + PAUSE
    M.operation_save(o, M.RUNNING)
end
