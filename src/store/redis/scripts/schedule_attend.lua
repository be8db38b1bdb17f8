-- schedule_attend.lua - runs of a schedule that ended were looked at: what follows from that is kept, and a pending run gets its
-- job when nothing is alive any more.
-- ARGV: id, vn that was seen, time of its clock, interval, anchor, next slot, what the last run found (-1: none), when that was
-- fired, numbers of the runs that were looked at, the job
-- Reply: {R_OK, schedule}, {R_STALE}
-- with ends.lua, take.lua, batches.lua, schedules.lua
local BUSY_MS = 5000
local c = S.of(A[1])
if not c or c.vn ~= N(A[2]) then
    return {R_STALE}
end
for n in string.gmatch(A[9], '%d+') do
    S.seen(c, n)
end
c.iv, c.an, c.nx, c.fo, c.rd = N(A[4]), N(A[5]), N(A[6]), N(A[7]) + 1, N(A[8])
local busy, clock, wake = S.make_pending(c, S.job_asked(10)), N(A[3]), S.next_wake(c)
if busy and (wake == 0 or wake > clock + BUSY_MS) then
    wake = clock + BUSY_MS
end
local more = call('EXISTS', c.key .. ':f') == 1
S.set_wake(c, more and 0 or wake > 0 and wake or nil)
S.write(c)
return done(R_OK, S.view(c))
