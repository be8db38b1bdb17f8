#!lua flags=allow-oom
-- events.lua - what happened. ARGV: 'all', number after which, how many (at most 100); or 'job', id, number after which,
-- how many. Reply: {R_OK, where to go on (-1: the end), {event}, ...}
-- An event: {seq, at, job, kind, body, number}; with kind '' it is the job's first: body has its fixed texts, then
-- come state and limit.
local reply, most = {R_OK, -1}, min(N(A[4] or A[3]), 100)
local function add(id, number, packed)
    local seq, at, kind, body = string.match(packed, '^(%d+)|(%d+)|([^|]+)|(.*)$')
    reply[#reply + 1] = {N(seq), N(at), id, kind, body, number}
end
-- What a job says of its events: number of the first, and how many others there are (those that stand behind them in its list
-- are of a script that failed); nil: it is no job.
local counted = {}
local function counts_of(id)
    if counted[id] == nil then
        local v = call('HMGET', P .. 'j:' .. id, 'es', 'ec')
        counted[id] = v[2] and {first = N(v[1]), others = max(N(v[2]) - 1, 0)} or false
    end
    return counted[id] or nil
end
local function add_first(id)
    local v = call('HMGET', P .. 'j:' .. id, 'es', 'ca', 'as', 'li')
    reply[#reply + 1] = {N(v[1]), N(v[2]), id, '', call('GET', P .. 'p:' .. id) or '', 1, N(v[3]) - 1, N(v[4])}
end
local function number_at(key, index)
    return N(string.match(call('LINDEX', key, index), '^%d+'))
end
-- How many of the list are not behind this number: those stand in its order.
local function passed(key, after)
    local low, high = 0, call('LLEN', key)
    while low < high do
        local middle = floor((low + high) / 2)
        if number_at(key, middle) > after then
            high = middle
        else
            low = middle + 1
        end
    end
    return low
end
-- Where in the list the event of this number stands, in all likelihood at this place; nil: nowhere.
local function place_of(key, seq, likely, count)
    local packed = call('LINDEX', key, likely)
    if packed and string.match(packed, '^%d+') == seq then
        return likely < count and likely, packed
    end
    local at = passed(key, N(seq) - 1)
    packed = at < count and call('LINDEX', key, at)
    return packed and string.match(packed, '^%d+') == seq and at, packed
end
if A[1] == 'job' then
    local id, after, key = A[2], N(A[3]), P .. 'e:' .. A[2]
    local of = counts_of(id)
    if of and of.first > after then
        add_first(id)
    end
    local at = passed(key, after)
    local stop = min(at + most - 1, of and of.others or INF)
    local some = at < stop and call('LRANGE', key, at, stop - 1) or {}
    for i, packed in ipairs(some) do
        add(id, of and at + i + 1 or 0, packed)
    end
    reply[2] = #some == most - 1 and reply[#reply][1] or -1
    return reply
end
local function tell(entry)
    local seq, f = string.match(entry[1], '^%d+'), entry[2]
    local id, number = f[2], N(f[4])
    local of = number > 0 and counts_of(id)
    if f[7] == 'b' then -- of a batch or an operation: that which is in its list
        local packed = call('LINDEX', P .. 'e:' .. id, N(f[8]) - 1)
        if packed and string.match(packed, '^%d+') == seq then
            add(id, 0, packed)
        end
    elseif number == 0 then
        add(id, 0, seq .. '|' .. f[6])
    elseif of and of.first == N(seq) then
        add_first(id)
    elseif of and number > 1 then
        local at, packed = place_of(P .. 'e:' .. id, seq, number - 2, of.others)
        if at then
            add(id, at + 2, packed)
        end
    end
end
most = min(N(A[3]), 100)
local entries = call('XRANGE', P .. 'ev', I(N(A[2]) + 1) .. '-0', '+', 'COUNT', most)
for _, entry in ipairs(entries) do
    pcall(tell, entry) -- foreign data under the keys of one job keeps nobody from hearing of the others
end
if #entries == most then
    reply[2] = N(string.match(entries[#entries][1], '^%d+'))
end
return reply
