-- accept.lua - takes a job, or says why not; equal requests and equal work are recognised.
-- ARGV: of each of some jobs, packed: id, tenant, site, class, place of the tenant, lane, fixed texts, limit, counts, prio, mark, needs, memory, run at,
-- waits until, deadline, attempt, stall, idempotency key, hash of the request, unique key, on conflict, work or '', coalesce,
-- max age, stale if error, pool, its site, held, when a node accepted it (0: now), failures in a row that end it (0: as configured),
-- webhook that is told of its end, id of the job that took its place there ('': none), whether it takes its lane's default priority,
-- how old a result of its unique key may be (0: none will do)
-- Reply: {R_OK, id, replayed, existing, state, source}, {R_BODY}, {R_MODE, mode}, {R_CLOSED}, {R_STATE} the id is there,
-- {R_TAKEN, id, state}, {R_FULL}, {R_SESSION}, {R_LANES}; of several jobs {R_OK, {reply}, ...}: each is taken or not, as if the one before
-- were there; {R_ALONE}: it is to be asked alone
-- with ends.lua, take.lua, batches.lua
if #A > 1 then
    local all, ids, replies, some = {}, {}, {R_OK}, false
    for i, packed in ipairs(A) do
        all[i] = M.words_of(packed)
        ids[i] = all[i][1]
    end
    M.gather(true)
    M.note_absent(ids)
    for _, a in ipairs(all) do
        local reply, taken = M.take(a)
        replies[#replies + 1], some = reply, some or taken
    end
    if not some then
        M.keep_out()
        replies[#replies + 1] = {}
        return replies
    end
    return done(unpack(replies))
end
local reply, taken = M.take(M.words_of(A[1]))
if not taken then
    M.keep_out()
    return reply
end
return done(unpack(reply))
