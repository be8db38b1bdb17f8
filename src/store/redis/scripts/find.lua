-- find.lua - jobs by what they are (store/find.h): part of the scripts that look for many.
-- The filter, from argument `at` on: states as bits (0: any), class, failure (-1: any), since, until (0: none), held, tenant,
-- site, kind, target, lane, labels.
-- late
function M.filter(at)
    return {states = N(A[at]), class = N(A[at + 1]), failure = N(A[at + 2]), since = N(A[at + 3]), til = N(A[at + 4]),
            held = A[at + 5] == '1', tenant = A[at + 6], site = A[at + 7], kind = A[at + 8], target = A[at + 9], lane = A[at + 10],
            labels = A[at + 11]}
end
function M.is_wanted(states, st)
    return states == 0 or floor(states / 2 ^ st) % 2 == 1
end
local function is_or_any(wanted, is)
    return wanted == '' or wanted == is
end
-- Labels are the last member of the options (core/labels.h).
local function has_labels(options, wanted)
    local at = wanted ~= '' and string.find(options, '"labels":{', 1, true)
    for one in string.gmatch(wanted, '"[^"]+":"[^"]+"') do
        if not at or not string.find(options, one, at + 9, true) then
            return false
        end
    end
    return true
end
function M.fits(f, j)
    if not j or not M.is_wanted(f.states, j.st) or (f.failure >= 0 and f.failure ~= j.fl) or j.ca < f.since or
        (f.til > 0 and j.ca > f.til) or (f.held and (j.ra < INF or j.st > SCHEDULED)) or not is_or_any(f.lane, j.ln) then
        return false
    end
    if f.tenant ~= '' or f.class >= 0 then
        local l = M.lane(j.ln)
        if not is_or_any(f.tenant, l.te) or (f.class >= 0 and f.class ~= l.cl) then
            return false
        end
    end
    if f.site == '' and f.kind == '' and f.target == '' and f.labels == '' then
        return true
    end
    local p = M.fixed(j.id)
    return is_or_any(f.site, p[1]) and is_or_any(f.kind, p[2]) and is_or_any(f.target, p[3]) and has_labels(p[4], f.labels)
end
-- {id, number} of at most `most` jobs in these states behind `from` (-1: the beginning), by number; up: the oldest first.
function M.next_jobs(states, from, up, most)
    local all = {}
    for st = 0, 7 do
        local key, some = P .. 's:' .. st, {}
        if M.is_wanted(states, st) and up then
            some = call('ZRANGEBYSCORE', key, '(' .. I(max(from, 0)), '+inf', 'WITHSCORES', 'LIMIT', 0, most)
        elseif M.is_wanted(states, st) then
            some = call('ZREVRANGEBYSCORE', key, from < 0 and '+inf' or '(' .. I(from), '-inf', 'WITHSCORES', 'LIMIT', 0, most)
        end
        for i = 1, #some, 2 do
            all[#all + 1] = {some[i], N(some[i + 1])}
        end
    end
    table.sort(all, function(a, b)
        if up then
            return a[2] < b[2]
        end
        return a[2] > b[2]
    end)
    for i = #all, most + 1, -1 do
        all[i] = nil
    end
    return all
end
-- Where the members of an index of ended jobs begin that come behind the end of job `id` at `at` (-1: all do); `dead`: it is that
-- of the dead ones. Of one millisecond the dead ones are behind the others, each by number; where the job did not end then, or is
-- gone, all of that millisecond come.
local function behind(key, dead, at, id, up)
    local j = M.job(id)
    local exact = j and j.st > ACTIVE and j.fa == at
    if at < 0 then
        return 0
    elseif exact and (j.st == DEAD) == dead then
        return N(call(up and 'ZRANK' or 'ZREVRANK', key, j.member)) + 1
    end
    local edge = (not exact or dead == up) and '(' .. I(at) or I(at)
    return up and call('ZCOUNT', key, '-inf', edge) or call('ZCOUNT', key, edge, '+inf')
end
-- {id, when} of at most `most` jobs in these states in the order of their ends.
function M.next_ended(states, at, id, up, most)
    local all = {}
    for dead = 0, 1 do
        local key, some = P .. (dead == 1 and 'dead' or 'done'), {}
        if M.is_wanted(states, dead == 1 and DEAD or SUCCEEDED) or dead == 0 and (M.is_wanted(states, CANCELLED) or M.is_wanted(states, EXPIRED)) then
            local first = behind(key, dead == 1, at, id, up)
            some = call(up and 'ZRANGE' or 'ZREVRANGE', key, first, first + most - 1, 'WITHSCORES')
        end
        for i = 1, #some, 2 do
            all[#all + 1] = {id_of(some[i]), N(some[i + 1]), dead, i}
        end
    end
    table.sort(all, function(a, b)
        if a[2] ~= b[2] then
            return (a[2] < b[2]) == up
        elseif a[3] ~= b[3] then
            return (a[3] < b[3]) == up
        end
        return a[4] < b[4]
    end)
    for i = #all, most + 1, -1 do
        all[i] = nil
    end
    return all
end
