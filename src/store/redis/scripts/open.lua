#!lua flags=allow-oom
-- open.lua - takes the store for a node: checks whose it is and of which schema, makes what is missing.
-- ARGV: schema version, oldest version that it can be used with. Reply: {epoch, schema}
local schema = tonumber(redis.call('HGET', P .. 'meta', 'schema') or ARGV[1])
if schema < tonumber(ARGV[2]) or schema > tonumber(ARGV[1]) then
    return {-1, schema}
end
redis.call('HSETNX', P .. 'meta', 'schema', ARGV[1])
redis.call('HSETNX', P .. 'meta', 'epoch', '1')
return {tonumber(redis.call('HGET', P .. 'meta', 'epoch')), schema}
