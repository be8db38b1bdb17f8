#!lua flags=allow-oom
-- schedule_delete.lua - a schedule goes, with its runs; the jobs that it made go on.
-- ARGV: tenant, id or name, whether it is an id, revision (-1: any), only say what would be
-- Reply: {R_OK}, {R_NONE}, {R_STALE, revision}
-- with schedules.lua
local c = S.find(A[1], A[2], A[3] == '1')
if not c then
    return {R_NONE}
elseif N(A[4]) >= 0 and N(A[4]) ~= c.rv then
    return {R_STALE, c.rv}
elseif A[5] == '1' then
    return {R_OK}
end
call('HDEL', P .. 'sdi', c.te .. '\n' .. c.na)
call('ZREM', P .. 'sdn:' .. c.te, c.na)
S.set_wake(c, nil)
for _, part in ipairs({'', ':t', ':r', ':s', ':n', ':l', ':p', ':f', ':d'}) do
    call('UNLINK', c.key .. part)
end
return done(R_OK)
