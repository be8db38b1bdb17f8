-- schedule_backfill.lua - passed slots get their jobs, those that had none: at most 16 in a call.
-- ARGV: id, revision that was seen, only say what would be, lines "slot id", the job
-- Reply: {R_OK, made, known, 0, skipped, last job, {}, why the first slot that is left was not made or {}}, {R_STALE}
-- with ends.lua, take.lua, batches.lua, schedules.lua
local c = S.of(A[1])
if not c or c.rv ~= N(A[2]) then
    return {R_STALE}
end
local g, refusal = S.firing(S.BY_BACKFILL, S.job_asked(5)), nil
for _, slot in ipairs(S.slots(A[4])) do
    if S.known(c, slot[1], true) then
        g.known = g.known + 1
    elseif A[3] == '1' then
        g.made = g.made + 1
    else
        refusal = S.fire_job(c, g, slot[1], slot[2], 1)
    end
    if refusal then
        break
    end
end
if A[3] == '1' then
    return {R_OK, S.fired(g)}
elseif g.made > 0 then
    S.counted(c, g)
    S.write(c)
end
return done(R_OK, S.fired(g, refusal))
