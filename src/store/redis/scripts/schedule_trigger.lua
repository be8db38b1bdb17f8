-- schedule_trigger.lua - a run that somebody wants now.
-- ARGV: id, revision that was seen, instant, id of its job, only say what would be, the job
-- Reply: {R_OK, made, known, pending, skipped, last job, jobs to stop, why it was not made or {}}, {R_STALE}, {R_TAKEN, job or ''}
-- a run is alive
-- with ends.lua, take.lua, batches.lua, schedules.lua
local c = S.of(A[1])
if not c or c.rv ~= N(A[2]) then
    return {R_STALE}
end
local go, ids = S.meet(c)
if go == S.GO_PASS then
    return {R_TAKEN, ids[1] or ''}
elseif A[5] == '1' then
    return {R_OK, go == S.GO_AFTER and 0 or 1, 0, go == S.GO_AFTER and 1 or 0, 0, '', {}, {}}
end
local g = S.firing(S.BY_TRIGGER, S.job_asked(6))
local refusal = S.fire(c, g, N(A[3]), A[4], 1)
if g.made > 0 then
    S.counted(c, g)
    S.write(c)
end
return done(R_OK, S.fired(g, refusal))
