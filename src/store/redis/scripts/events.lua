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
if A[1] == 'job' then
    local id, after, key = A[2], N(A[3]), P .. 'e:' .. A[2]
    local first = call('HGET', P .. 'j:' .. id, 'es')
    if first and N(first) > after then
        add_first(id)
    end
    local at = passed(key, after)
    local some = call('LRANGE', key, at, at + most - 2)
    for i, packed in ipairs(some) do
        add(id, first and at + i + 1 or 0, packed)
    end
    reply[2] = #some == most - 1 and reply[#reply][1] or -1
    return reply
end
most = min(N(A[3]), 100)
local entries = call('XRANGE', P .. 'ev', I(N(A[2]) + 1) .. '-0', '+', 'COUNT', most)
for _, entry in ipairs(entries) do
    local seq, f = string.match(entry[1], '^%d+'), entry[2]
    local id, number = f[2], N(f[4])
    if number == 0 then
        add(id, 0, seq .. '|' .. f[6])
    elseif number == 1 and call('EXISTS', P .. 'j:' .. id) == 1 then
        add_first(id)
    elseif number > 1 then
        local packed = call('LINDEX', P .. 'e:' .. id, number - 2)
        if packed then
            add(id, number, packed)
        end
    end
end
if #entries == most then
    reply[2] = N(string.match(entries[#entries][1], '^%d+'))
end
return reply
