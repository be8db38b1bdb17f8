#!lua flags=allow-oom
-- retain.lua - deletes what is too old, at most 20 jobs in a call.
-- ARGV: age, jobs, bytes, dead age, dead jobs (0: any). Reply: {R_OK, {deleted by limit}, whether there is more, {ids of
-- jobs that are gone and may have something in the archive}}
-- with ends.lua, take.lua, batches.lua
local AGE, JOBS, BYTES, DEAD_AGE, DEAD_JOBS = 1, 2, 3, 4, 5
local MOST, LOOKS, LANES, IDLE_MS, MARK_MS, GONE_MS = 20, 80, 10, 604800000, 31536000000, 600000
local limit, deleted, ids, more = {}, {0, 0, 0, 0, 0}, {}, 0
for i = 1, 5 do
    limit[i] = N(A[i])
end
local counts = {}
for st = SUCCEEDED, EXPIRED do
    counts[st] = call('ZCARD', P .. 's:' .. st)
end
local function exceeded(j)
    if j.st == DEAD then
        return limit[DEAD_AGE] > 0 and j.fa < now - limit[DEAD_AGE] and DEAD_AGE or
            limit[DEAD_JOBS] > 0 and counts[DEAD] > limit[DEAD_JOBS] and DEAD_JOBS
    end
    local kept = counts[SUCCEEDED] + counts[CANCELLED] + counts[EXPIRED]
    return limit[AGE] > 0 and j.fa < now - limit[AGE] and AGE or
        limit[JOBS] > 0 and kept > limit[JOBS] and JOBS or
        limit[BYTES] > 0 and meta.kept > limit[BYTES] and BYTES
end
local function forget(j)
    counts[j.st] = counts[j.st] - 1
    ids[#ids + 1] = j.id
    M.forget(j)
end
-- What another job needs stays, and each call begins behind what stayed; ends.lua has that go back to what is needed no more.
local function place_of(index)
    local at, member = string.match(call('HGET', P .. 'retain', index) or '', '^(%S+) (.*)$')
    return at and M.rank_behind(index, at, member) or 0
end
local function delete(index)
    local rank, seen, before, whole, place = place_of(index), 0, #ids, false, nil
    while not whole and seen < LOOKS and #ids < MOST do
        local next = call('ZRANGE', P .. index, rank, rank, 'WITHSCORES')
        local j = next[1] and M.job(id_of(next[1]))
        local by = j and exceeded(j)
        if not next[1] or (j and not by) then
            whole = true
        elseif not j then
            call('ZREM', P .. index, next[1])
        elseif M.is_needed(j.id) then
            rank, place = rank + 1, next[2] .. ' ' .. next[1]
        else
            deleted[by] = deleted[by] + 1
            forget(j)
        end
        seen = seen + 1
    end
    if place and not M.went_back then
        call('HSET', P .. 'retain', index, place)
    end
    more = whole and #ids == before and more or 1
end
-- A lane that nobody used for a week and that no job names: ended ones come back to it, or go from it.
local function is_free(l)
    return l.ow + l.oa + l.oe + l.ob + l.od + l.oo + l.pa + l.co == 0 and l.fo <= now and ready_of(l) + l.active == 0 and
        call('EXISTS', l.key .. ':b', l.key .. ':s', l.key .. ':e') == 0
end
local function forget_lane(l)
    local t, s = l.tenant, l.site
    call('UNLINK', l.key, l.key .. ':t', l.key .. ':c')
    call('ZREM', P .. 'lanes', l.name)
    call('ZREM', P .. 'waits', l.turn)
    for _, key in ipairs({t.key .. ':0', t.key .. ':1', s.key .. ':f'}) do
        call('ZREM', key, l.turn)
    end
    lanes[l.name] = nil
    t.ln, s.ln, t.touched = t.ln - 1, s.ln - 1, true
    if t.ln <= 0 and t.ma == 0 and t.we == 0 then
        call('ZREM', P .. 'tenants', t.name)
        call('ZREM', P .. 'tz0', t.th .. ':' .. t.name)
        call('ZREM', P .. 'tz1', t.th .. ':' .. t.name)
        call('UNLINK', t.key)
        tenants[t.name] = nil
    end
    if s.ln <= 0 and s.ma == 0 and s.em == 0 then
        call('ZREM', P .. 'sites', s.name)
        call('UNLINK', s.key)
        sites[s.name] = nil
    end
end
local function retain_lanes()
    local idle = call('ZRANGEBYSCORE', P .. 'idle', '-inf', '(' .. I(now - IDLE_MS), 'LIMIT', 0, LANES)
    for _, name in ipairs(idle) do
        local l = M.lane(name)
        if l and is_free(l) then
            call('ZREM', P .. 'idle', name)
            forget_lane(l)
        elseif l then
            call('ZADD', P .. 'idle', now, name)
        else
            call('ZREM', P .. 'idle', name)
        end
    end
    more = #idle == LANES and 1 or more
end
retain_lanes()
delete('done')
delete('dead')
if limit[AGE] > 0 then
    for _, key in ipairs(call('ZRANGEBYSCORE', P .. 'marks', '-inf', now - limit[AGE] - MARK_MS, 'LIMIT', 0, MOST)) do
        call('UNLINK', key)
        call('ZREM', P .. 'marks', key)
    end
end
-- Of which the archive has nothing any more (gone.lua): nobody hands them over anew after so long.
local past = call('ZRANGEBYSCORE', P .. 'gone', I(GONE_MS - now), '(0', 'LIMIT', 0, LOOKS)
if #past > 0 then
    call('ZREM', P .. 'gone', unpack(past))
    more = #past == LOOKS and 1 or more
end
return done(R_OK, deleted, more, call('ZRANGEBYSCORE', P .. 'gone', 1, '+inf', 'LIMIT', 0, MOST))
