#!lua flags=allow-oom
-- events.lua - what happened. ARGV: 'all', number after which, how many (at most 100); or 'job', id, number in the job
-- after which, how many. Reply: {R_OK, where to go on (-1: the end), {event}, ...}
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
if A[1] == 'job' then
    local id, after = A[2], N(A[3])
    local is_job = call('EXISTS', P .. 'j:' .. id) == 1
    if after == 0 and is_job then
        add_first(id)
    end
    local some = call('LRANGE', P .. 'e:' .. id, max(after - 1, 0), max(after - 1, 0) + most - 2)
    for i, packed in ipairs(some) do
        add(id, is_job and max(after, 1) + i or 0, packed)
    end
    reply[2] = #some == most - 1 and max(after, 1) + #some or -1
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
