#!lua flags=allow-oom
-- open.lua - takes the store for a node: checks its schema, makes what is missing; then gives back the leases of an
-- earlier process of this node, at most STEP in a call.
-- ARGV: schema, oldest that it can be used with, time and member of the lease that was looked at last, '': begin, id that a
-- new store gets, and that of the archive beside it, '': none
-- Reply: {R_OK, epoch, schema, time and member of the last one that was looked at, '' all done, id of the store},
-- {R_STATE, schema}
-- with ends.lua, take.lua, batches.lua
local schema = N(call('HGET', P .. 'meta', 'schema') or A[1])
if schema < N(A[2]) or schema > N(A[1]) then
    return {R_STATE, schema}
end
local rank = 0
if A[3] == '' then
    call('HSETNX', P .. 'meta', 'schema', A[1])
    meta.epoch = meta.epoch + 1
    meta.id = meta.id ~= '' and meta.id or A[5]
    if (A[6] or '') ~= '' then
        call('HSET', P .. 'meta', 'ar', A[6])
    end
else
    rank = M.rank_behind('act', A[3], A[4]) -- others take and end leases meanwhile: ranks are not what they were
end
local leases = call('ZRANGE', P .. 'act', rank, rank + STEP - 1, 'WITHSCORES')
local words = {'the service was restarted', '"the service was restarted"'}
local again = 'the service ended again and again while this job ran'
for i = 1, #leases, 2 do
    local j = M.job(id_of(leases[i]))
    if j and j.ow == NODE then
        local out = {failure = 0, why = words}
        M.charge(j, B_RELEASE, 0, out)
        if out.on == E_GIVE_UP then
            out.failure, out.failure_name, out.why = F_CRASH, 'crash', {again, '"' .. again .. '"'}
        end
        M.sign(M.lane(j.ln), SIGN_NONE, j.sq)
        M.leave(j, out)
    end
end
if call('EXISTS', P .. 'act') == 0 then
    meta.reaped = now
end
local whole = #leases < 2 * STEP
return done(R_OK, meta.epoch, schema, whole and '' or leases[#leases], whole and '' or leases[#leases - 1], meta.id)
