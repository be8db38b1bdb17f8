#!lua flags=allow-oom
-- cancel.lua - somebody wants a job to stop. ARGV: id, force, grace, why, the same as JSON, why of force, the same as JSON
-- Reply: {R_OK, state, whether its worker runs}, {R_NONE}, {R_STATE, state}
-- with ends.lua, take.lua, batches.lua
local j = M.job(A[1])
if not j then
    return {R_NONE}
elseif j.st == CANCELLED then
    return {R_OK, CANCELLED, 0, {}}
elseif j.st > ACTIVE then
    return {R_STATE, j.st}
end
local active = j.st == ACTIVE
if active and A[2] == '1' then
    M.void(j, {A[6], A[7]})
elseif not active then
    M.end_waiting(j, CANCELLED, {A[4], A[5]})
else
    M.ask_to_stop(j, N(A[3]), {A[4], A[5]})
end
return done(R_OK, j.st, active and 1 or 0)
