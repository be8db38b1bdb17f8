#!lua flags=allow-oom
-- schedule_pause.lua - a schedule rests, or goes on from now: slots that passed meanwhile are none.
-- ARGV: id, vn that was seen, pause, by, why, settled up to, next slot (of going on). Reply: {R_OK, schedule}, {R_STALE}
-- with schedules.lua
local c = S.of(A[1])
if not c or c.vn ~= N(A[2]) then
    return {R_STALE}
end
if A[3] == '1' then
    c.pa, c.pb, c.py, c.nx = now, A[4], A[5], 0
    S.drop_pending(c, S.PAUSED)
else
    c.pa, c.pb, c.py, c.ls, c.nx = 0, '', '', N(A[6]), N(A[7])
end
c.ua, c.rv = now, c.rv + 1
S.wake(c)
S.write(c)
return done(R_OK, S.view(c))
