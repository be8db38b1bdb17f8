#!lua flags=allow-oom
-- reap.lua - what time does to jobs, at most 16 in a call, for Redis does nothing else meanwhile: the caller comes again
-- with what is left.
-- ARGV: part, how many of it are left. Reply: {R_OK, next part (0: all done), left, promoted, suspected, reaped, expired,
-- forced, settled}
-- with ends.lua, take.lua, batches.lua
local FEW, MANY = 16, 100 -- jobs that move, and that are only given more time
local BREAKER_MOST = 1800000 -- it is open no longer unless somebody says so (ends.lua)
local part, left = N(A[1]), N(A[2])
local budget = part == 1 and MANY or FEW
local n = {promoted = 0, suspected = 0, reaped = 0, expired = 0, forced = 0, settled = 0}

local function due(index)
    local most = min(left, budget)
    local members = call('ZRANGEBYSCORE', P .. index, '-inf', now, 'LIMIT', 0, most)
    left, budget = #members < most and 0 or left - most, budget - #members
    return members
end
-- Each member's job, when it is still what the index says. One with foreign data under its keys waits until the walk finds it sound:
-- nothing of it is written before that is known.
local function any(member)
    return M.job(id_of(member))
end
local function sound(member)
    local j = any(member)
    if j then
        M.sound(j, false, true)
        call('STRLEN', P .. 'p:' .. j.id)
    end
    return j
end
local function each(index, wanted, what, look)
    for _, member in ipairs(due(index)) do
        local well, j = pcall(look or sound, member)
        if well and j and wanted(j) then
            what(j)
        else
            if not well then
                M.event(nil, 'queue.damaged', '{"job":"' .. string.gsub(id_of(member), '[^%w_]', '') .. '"}')
            end
            call('ZREM', P .. index, member)
        end
    end
end
local function is_active(j)
    return j.st == ACTIVE
end
local function is_waiting(j)
    return j.st < ACTIVE
end

-- The server's clock was set back: a lease that ends later than one that begins now lasts as long as that, and lanes are
-- looked at again whose rate, breaker or pool were to open by the clock that was wrong. A block that a site asked for, and what
-- jobs themselves wait for, stands.
local function leases_are_of_now()
    local far = call('ZRANGEBYSCORE', P .. 'act', '(' .. I(now + LEASE), '+inf', 'LIMIT', 0, MANY)
    for _, member in ipairs(far) do
        local well, j = pcall(any, member)
        if well and j and is_active(j) then
            j.le = now + LEASE
        end
        call('ZADD', P .. 'act', I(now + LEASE), member)
    end
    meta.cw = #far == MANY and 'leases' or I(now) .. '|'
end
local function lanes_are_of_now()
    local at, last = string.match(meta.cw, '^(%d+)|(.*)$')
    local rank = M.rank_behind('waits', at, last)
    local turns = call('ZRANGE', P .. 'waits', rank, rank + FEW - 1, 'WITHSCORES')
    for i = 1, #turns, 2 do
        local l = M.lane_if_sound(string.sub(turns[i], 11))
        if l then
            l.bt = l.bt ~= l.fo and min(l.bt, now + BREAKER_MOST) or l.bt
            l.pk, l.touched = 0, true
        end
    end
    meta.cw = #turns == 2 * FEW and I(turns[#turns]) .. '|' .. turns[#turns - 1] or ''
end

-- Nobody could renew a lease while nobody looked: the workers get one period to speak.
local function amnesty()
    if meta.cw ~= '' then
        (meta.cw == 'leases' and leases_are_of_now or lanes_are_of_now)()
        left, budget = STEP, 0
        return
    end
    if now - meta.reaped <= 2 * LEASE then
        meta.reaped, left = now, 0
        return
    end
    local before = budget
    left = budget
    each('act', is_active, function(j)
        j.le = now + LEASE
        call('ZADD', P .. 'act', j.le, j.member)
    end, any) -- of so many, of which nothing else is written
    left = budget == 0 and before > 0 and STEP or 0
    meta.reaped = left == 0 and now or meta.reaped
end
local function lapsed(j)
    if j.su == 0 then
        j.su, j.le, j.rv = 1, now + floor(LEASE / 3), j.rv + 1
        call('ZADD', P .. 'act', j.le, j.member)
        n.suspected = n.suspected + 1
        return
    end
    -- How it ended may be among what a failover lost: that is no fault of its.
    local lost = j.ep < meta.le and j.he < meta.le
    local words = lost and 'the worker was not heard of since the queue lost its last moments' or
                      'the worker was not heard of in time'
    local out = {failure = F_CRASH, failure_name = 'crash', why = {words, '"' .. words .. '"'}}
    M.charge(j, j.sd == 1 and not lost and B_CRASH or B_RELEASE, 0, out)
    M.sign(M.lane(j.ln), SIGN_NONE, j.sq)
    M.leave(j, out)
    n.reaped = n.reaped + 1
end
local function overdue(j)
    local words = 'did not stop in time when asked to'
    M.void(j, {words, '"' .. words .. '"'})
    n.forced = n.forced + 1
end
local function over(j)
    local words = j.de > 0 and j.de <= now and 'its deadline has passed' or 'it waited as long as it might'
    M.end_waiting(j, EXPIRED, {words, '"' .. words .. '"'})
    n.expired = n.expired + 1
end
local function settle()
    for _, leader in ipairs(call('ZRANGE', P .. 'unset', 0, 3)) do
        n.settled = n.settled + M.settle(leader, 16)
    end
    left, budget = 0, budget - n.settled
end
-- A job that is tried again because it failed starts only as the lane's share of retries allows: an empty budget
-- delays, it ends nothing.
local function promote(j)
    local l = M.lane(j.ln)
    local again = l.cl ~= QUARANTINE and M.retry_is_shared(j.fl)
    local at = again and M.retry_at(l) or now
    if at > now then
        j.ra = at
        call('ZADD', P .. 'sched', at, j.member)
        return
    end
    j.rk = 0
    M.move(j, READY)
    if again then
        M.retried(l)
    end
    n.promoted = n.promoted + 1
end
local function is_scheduled(j)
    return j.st == SCHEDULED
end
local parts = {
    amnesty,
    function() each('act', is_active, lapsed) end,
    function() each('stop', is_active, overdue) end,
    function() each('over', is_waiting, over) end,
    settle,
    function() each('sched', is_scheduled, promote) end,
}
while part > 0 and budget > 0 do
    parts[part]()
    if left == 0 then
        part, left, budget = (part + 1) % 7, STEP, min(budget, FEW)
    end
end
return done(R_OK, part, left, n.promoted, n.suspected, n.reaped, n.expired, n.forced, n.settled)
