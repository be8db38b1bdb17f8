#!lua flags=allow-oom
-- change.lua - a job that waits is changed, held, or let go. Numbers of -1 stay as they are.
-- ARGV: id, revision, hold (0 as it is, 1 on, 2 off), prio, run at, expires, deadline, attempt, stall, limit, with it the
-- options and the work or '', why, the same as JSON, the event, labels as they change
-- Reply: {R_OK}, {R_NONE}, {R_STATE, state}, {R_FULL, records that it has}, {R_STALE, revision}, {R_TAKEN, job that waits for its
-- result}, {R_LANES} too many labels, {R_BODY} the options would be too long
-- with ends.lua, take.lua, batches.lua, alter.lua
local reply, changed = M.alter(A)
if not changed then
    return reply
end
return done(unpack(reply))
