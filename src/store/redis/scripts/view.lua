#!lua flags=allow-oom
-- view.lua - jobs as people see them. ARGV: 'one', id; 'owner', id: whose records it has; 'keyed', tenant, key: whose id it gave; or 'list', state (-1: all), number before which they were
-- accepted (-1: the newest), how many (at most 50); or 'batch', id, state (-1: all), number behind which, how many (at most 50); or
-- 'find', number behind which (-1: the beginning), how many (at most 50; 0: they are only counted), whether the oldest come first,
-- the filter, whether in the order of their ends (the number is a time then), and behind the end of which job.
-- Reply: {R_OK, {job}, ...}, {R_NONE}; of 'find' {R_OK, where to go on (-1: the end), its id, how many in these states were looked at,
-- when the first and when the last of all that it went by was accepted (0: it went by none), {job}, ... or how many they are}
-- A job: {fields and values, fixed texts, cursor, why, report, waiting, until, id, of 'one': how many its lane has before it, or -1}
-- with find.lua
local function view(id)
    local fields = call('HGETALL', P .. 'j:' .. id)
    local t = call('HMGET', P .. 't:' .. id, 'cu', 'wh', 're')
    local of = {}
    for i = 1, #fields, 2 do
        of[fields[i]] = fields[i + 1]
    end
    local state, waiting, til = N(of.st), 0, 0
    if state == SCHEDULED then
        local held = N(of.ra) == INF
        waiting, til = held and 13 or 1, held and 0 or N(of.ra)
    elseif state == BLOCKED then
        waiting = 11
    elseif state == READY then
        waiting, til = M.waiting(M.lane(of.ln))
    end
    return {fields, call('GET', P .. 'p:' .. id) or '', t[1] or '', t[2] or '', t[3] or '', waiting, til, id}
end
local function ahead_of(id)
    local j = M.job(id)
    if j.st ~= READY then
        return -1
    end
    local key, rank = P .. 'l:' .. j.ln .. ':', rank_of(j)
    return N(call('ZRANK', key .. j.nd, j.member)) + call('ZCOUNT', key .. (1 - j.nd), '-inf', '(' .. I(rank))
end
if A[1] == 'one' then
    if call('EXISTS', P .. 'j:' .. A[2]) == 0 then
        return {R_NONE}
    end
    local v = view(A[2])
    v[9] = ahead_of(A[2])
    return {R_OK, v}
end
if A[1] == 'keyed' then
    local _, at, id = string.match(call('GET', P .. 'idem:' .. A[2] .. ':' .. A[3]) or '', '^(%x+)|(%d+)|(.*)$')
    return id and now - N(at) <= KEY_MS and {R_OK, id} or {R_NONE}
end
if A[1] == 'owner' then
    local v = call('HMGET', P .. 'j:' .. A[2], 'sq', 'sf')
    return v[1] and {R_OK, v[2] or A[2]} or {R_NONE}
end
if A[1] == 'find' then
    local from, most, up, f, looks = N(A[2]), min(N(A[3]), 50), A[4] == '1', M.filter(5), 500
    local some = A[17] == '1' and M.next_ended(f.states, from, A[18], up, looks) or M.next_jobs(f.states, from, up, looks)
    local reply, found, at, looked, oldest, newest = {R_OK, -1, '', 0, 0, 0}, 0, 0, 0, INF, 0
    while at < #some and (found < most or most == 0) do
        at = at + 1
        local id = some[at][1]
        local j = M.job(id)
        if j then
            looked = looked + (M.is_wanted(f.states, j.st) and 1 or 0)
            oldest, newest = min(oldest, j.ca), max(newest, j.ca)
        end
        if M.fits(f, j) then
            found = found + 1
            reply[6 + found] = most > 0 and view(id) or nil
        end
    end
    if #some == looks or at < #some then
        reply[2], reply[3] = some[at][2], some[at][1]
    end
    reply[4], reply[5], reply[6] = looked, oldest < INF and oldest or 0, newest
    if most == 0 then
        reply[7] = found
    end
    return reply
end
-- Jobs by number, one index for each state; descending, or ascending (`up`).
local function page(prefix, state, from, most, up)
    local ids, reply = {}, {R_OK}
    for st = state < 0 and 0 or state, state < 0 and 7 or state do
        local key = prefix .. st
        local some = up and call('ZRANGEBYSCORE', key, from, '+inf', 'WITHSCORES', 'LIMIT', 0, most) or
            call('ZREVRANGEBYSCORE', key, from, '-inf', 'WITHSCORES', 'LIMIT', 0, most)
        for i = 1, #some, 2 do
            ids[#ids + 1] = {some[i], N(some[i + 1])}
        end
    end
    table.sort(ids, function(a, b) return (up and a[2] < b[2]) or (not up and a[2] > b[2]) end)
    for i = 1, min(#ids, most) do
        reply[#reply + 1] = view(ids[i][1])
    end
    return reply
end
if A[1] == 'batch' then
    if call('EXISTS', P .. 'b:' .. A[2]) == 0 then
        return {R_NONE}
    end
    return page(P .. 'b:' .. A[2] .. ':', N(A[3]), '(' .. A[4], min(N(A[5]), 50), true)
end
local before = N(A[3])
return page(P .. 's:', N(A[2]), before < 0 and '+inf' or '(' .. I(before), min(N(A[4]), 50), false)
