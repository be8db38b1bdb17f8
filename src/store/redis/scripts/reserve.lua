#!lua flags=allow-oom
-- reserve.lua - leases the next job that may start to a worker.
-- ARGV: worker, nonce, number of the question or '', needs, memory, time, sites ('*': all; else one a line), worker as
-- JSON, memory that it has to take at least, how long a job has been ready for which the node would make room (0: it would not
-- now; an earlier version does not say)
-- Reply: {R_OK, the lease}, {R_END, 1 when asking again at once may find one}
-- with ends.lua, take.lua, batches.lua, reserving.lua
local reply, changed = M.reserve(A, call('HGET', P .. 'leased', NODE))
if not changed then
    reply[#reply + 1] = {}
    return reply
end
if reply[1] == R_OK then
    call('HSET', P .. 'leased', NODE, reply[2][1] .. ' ' .. A[2])
end
return done(unpack(reply))
