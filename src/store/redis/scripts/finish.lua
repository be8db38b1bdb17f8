#!lua flags=allow-oom
-- finish.lua - an attempt has ended: charges it, and says what follows.
-- ARGV: id, nonce, failure, its name, budget, overridden, verdict, end, its name, why, why as JSON, report, hint,
-- about the target, counts for the breaker, archive is in step, newest posts or '', posts were looked up, why as fingerprints see it,
-- counts against a session, what the attempt took, the same as members of an event, what the job asks for of delays (M.delay) or ''
-- Reply, without what is 0 or nothing at its end: {R_OK, state, retry in, breaker open until, lane, session that is lost}, {R_STALE}; {R_FIRST, epoch, fence, next batch, to be taken
-- back, posts wanted, what the job counts}: the archive is to be asked first
-- with ends.lua, take.lua, batches.lua, finishing.lua
local reply, changed = M.finish(A)
if not changed then
    return reply
end
return done(unpack(reply))
