#!lua flags=allow-oom
-- replay.lua - an ended job comes back: the same id, what it has, a new generation.
-- ARGV: id, from the beginning. Reply: {R_OK, what it was, generation}, {R_NONE}, {R_STATE, state}, {R_TAKEN, id, state},
-- {R_MODE, mode}, {R_CLOSED, lane}, {R_FULL}, {R_SESSION, site, pool}
-- with ends.lua
local j = M.job(A[1])
if not j then
    return {R_NONE}
end
local reply = M.replay(j, A[2] == '1')
if reply[1] ~= R_OK then
    return reply
end
return done(unpack(reply))
