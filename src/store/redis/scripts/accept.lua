-- accept.lua - takes a job, or says why not; equal requests and equal work are recognised.
-- ARGV: id, tenant, site, class, place of the tenant, lane, fixed texts, limit, counts, prio, mark, needs, memory, run at,
-- waits until, deadline, attempt, stall, idempotency key, hash of the request, unique key, on conflict, work or '', coalesce,
-- max age, stale if error, pool, its site, held, when a node accepted it (0: now)
-- Reply: {R_OK, id, replayed, existing, state, source}, {R_BODY}, {R_MODE, mode}, {R_CLOSED}, {R_STATE} the id is there,
-- {R_TAKEN, id, state}, {R_FULL}, {R_SESSION}, {R_LANES}
-- with ends.lua, take.lua, batches.lua
local reply, taken = M.take(A)
if not taken then
    return reply
end
return done(unpack(reply))
