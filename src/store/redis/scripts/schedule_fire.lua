-- schedule_fire.lua - slots of a schedule become jobs, or what its policies say, and are settled: at most 16 in a call. Of
-- several nodes that saw the same slots the first one settles them, and the others find them settled.
-- ARGV: id, revision and last slot as they were seen, settled then, next slot then, slots that were missed, where they are
-- noted (0: nowhere), slots that each run stands for, lines "slot id", the job
-- Reply: {R_OK, made, known, pending, skipped, last job, jobs to stop, why the first slot that is left was not made or {}, how
-- many were settled}, {R_STALE}
-- with ends.lua, take.lua, batches.lua, schedules.lua
local c = S.of(A[1])
if not c or c.rv ~= N(A[2]) or c.ls ~= N(A[3]) or c.pa > 0 then
    return {R_STALE}
end
local g, slots, refusal, n = S.firing(S.BY_SLOT, S.job_asked(10)), S.slots(A[9]), nil, 0
for i, slot in ipairs(slots) do
    if S.known(c, slot[1], false) then
        g.known = g.known + 1
    else
        refusal = S.fire(c, g, slot[1], slot[2], N(A[8]))
    end
    if refusal then
        break
    end
    n = i
end
if refusal and n == 0 then
    return {R_OK, 0, 0, 0, 0, '', {}, refusal, 0, {}}
elseif refusal then
    c.ls, c.nx = slots[n][1], slots[n + 1][1]
else
    if N(A[6]) > 0 and N(A[7]) > 0 then
        S.add_run(c, N(A[7]), S.BY_SLOT, S.SKIPPED, S.MISSED, N(A[6]))
    end
    c.ls, c.nx, c.ps = N(A[4]), N(A[5]), c.ps + N(A[6])
end
S.counted(c, g)
c.sk = c.sk + g.skipped
S.wake(c)
S.write(c)
local made, known, pending, skipped, last, cancels, why = S.fired(g, refusal)
return done(R_OK, made, known, pending, skipped, last, cancels, why, n)
