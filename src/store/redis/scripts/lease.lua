#!lua flags=allow-oom
-- lease.lua - what a worker says while it has a job.
-- ARGV: id, nonce, what: 'started'; 'heartbeat'; 'write', number of the batch that the archive is about to get ('' none);
-- 'look'. Reply: {R_OK, cancel, epoch, fence, next batch, have, users, limit, counts, site, state}, {R_STALE}
-- with speaking.lua
local reply, changed = M.speak(A)
if not changed then
    return reply
end
return done(unpack(reply))
