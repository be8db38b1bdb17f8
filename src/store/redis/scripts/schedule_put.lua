-- schedule_put.lua - a schedule is made, or changed: all that was asked for, and how far it is then.
-- ARGV: id, whether it is new, only say what would be, vn that was seen, tenant, name, numbers (kind, present interval, least,
-- most, posts wanted, jitter, start, end, missed, overlap, catch up, its most, grace, anchor, last slot, next slot), its share
-- of the jitter, cron, zone, ticket, job
-- Reply: {R_OK}, {R_STALE} it was changed meanwhile, {R_TAKEN} the name is, {R_FULL}
-- with schedules.lua
local id, new, tenant, name = A[1], A[2] == '1', A[5], A[6]
local c, other = S.of(id), call('HGET', P .. 'sdi', tenant .. '\n' .. name)
if not new and (not c or c.vn ~= N(A[4])) then
    return {R_STALE}
elseif other and (new or other ~= id) then
    return {R_TAKEN}
elseif new and S.is_full() then
    return {R_FULL}
elseif A[3] == '1' then
    return {R_OK}
end
if new then
    c = S.new(id)
    c.te, c.ca, c.na = tenant, now, name
end
local woken = call('ZSCORE', P .. 'sdw' .. min(c.ki, 1), id) == '0'
if c.na ~= name then
    call('HDEL', P .. 'sdi', tenant .. '\n' .. c.na)
    call('ZREM', P .. 'sdn:' .. tenant, c.na)
end
call('HSET', P .. 'sdi', tenant .. '\n' .. name, id)
call('ZADD', P .. 'sdn:' .. tenant, 0, name)
call('ZREM', P .. 'sdw' .. min(c.ki, 1), id)
for i, f in ipairs({'ki', 'iv', 'lo', 'mo', 'pw', 'ji', 'st', 'en', 'mi', 'ov', 'cu', 'cm', 'gr', 'an', 'ls', 'nx', 'sh'}) do
    c[f] = N(A[6 + i])
end
c.na, c.cr, c.zo, c.ua, c.rv = name, A[24], A[25], now, c.rv + 1
c.nx = c.pa > 0 and 0 or c.nx
call('HSET', c.key .. ':t', 'ticket', A[26], 'job', A[27])
if woken then
    S.set_wake(c, 0)
else
    S.wake(c)
end
S.write(c)
return done(R_OK)
