#!lua flags=allow-oom
-- forget.lua - an ended job goes, with all that it brought. ARGV: id. Reply: {R_OK}, {R_NONE}, {R_STATE, state}, {R_TAKEN}
-- another job waits for it, or has its result
-- with ends.lua, take.lua, batches.lua
local j = M.job(A[1])
if not j then
    return {R_NONE}
elseif j.st < SUCCEEDED then
    return {R_STATE, j.st}
elseif M.is_needed(j.id) then
    return {R_TAKEN}
end
M.forget(j)
return done(R_OK)
