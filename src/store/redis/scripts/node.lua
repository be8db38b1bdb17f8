#!lua flags=allow-oom
-- node.lua - who shares the queue. ARGV: 'beat', how long one that is silent is kept, started, workers, busy, browsers,
-- stopping, version, host, jobs in its spool, whether it has one; or 'list', how many. Reply: {R_OK}; {R_OK, {name, heard, started, …}, …}, by name
local NAMES, FIELDS = P .. 'nodes', {'started', 'workers', 'busy', 'browsers', 'stopping', 'version', 'host', 'spooled', 'spool'}
if A[1] == 'list' then
    local reply, names = {R_OK}, call('ZRANGE', NAMES, 0, N(A[2]) - 1, 'WITHSCORES')
    for i = 1, #names, 2 do
        reply[#reply + 1] = {names[i], N(names[i + 1]), unpack(call('HMGET', P .. 'nd:' .. names[i], unpack(FIELDS)))}
    end
    table.sort(reply, function(a, b)
        return type(b) == 'table' and (type(a) ~= 'table' or a[1] < b[1])
    end)
    return reply
end
for _, name in ipairs(call('ZRANGEBYSCORE', NAMES, '-inf', now - N(A[2]), 'LIMIT', 0, STEP)) do
    call('DEL', P .. 'nd:' .. name)
    call('HDEL', P .. 'leased', name)
    -- Its last call keeps its number: by that a node that comes back knows that nothing is lost (history.lua).
    local last = call('HGET', P .. 'last', name)
    if last then
        call('HSET', P .. 'last', name, string.match(last, '^[^|]*|'))
    end
    call('ZREM', NAMES, name)
end
local row = {}
for i, field in ipairs(FIELDS) do
    row[2 * i - 1], row[2 * i] = field, A[i + 2]
end
call('HSET', P .. 'nd:' .. NODE, unpack(row))
call('ZADD', NAMES, now, NODE)
return done(R_OK)
