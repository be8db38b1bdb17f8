#!lua flags=allow-oom
-- repair.lua - a dead job got records that were read again from its evidence. ARGV: 'look', id, revision; or 'write', id,
-- revision, have, done, verdict, end, its name, report, counter that had the lease which failed (1 to 5), what it had died of
-- Reply: {R_OK, next batch, counts, limit, site, failure}, {R_NONE}, {R_STATE, state}, {R_STALE} it has changed, {R_END} it
-- never ran
-- with ends.lua, take.lua, batches.lua
local COUNTERS = {'nf', 'nc', 'nt', 'nr', 'nv'}
local j = M.job(A[2])
if not j then
    return {R_NONE}
elseif j.st ~= DEAD then
    return {R_STATE, j.st}
elseif j.rv ~= N(A[3]) then
    return {R_STALE}
elseif A[1] == 'look' then
    return {R_OK, j.nb, j.co, j.li, M.fixed(j.id)[1], j.fl}
end
-- Every lease is accounted for exactly once: the one whose answers were read again counts as the one that went well.
local counter = N(A[10])
for _ = 1, #COUNTERS do
    if j[COUNTERS[counter]] > 0 then
        break
    end
    counter = counter % #COUNTERS + 1
end
local well = A[5] == '1'
if well and j[COUNTERS[counter]] == 0 then
    return {R_END}
end
j.ha, j.nb, j.rv = N(A[4]), j.nb + 1, j.rv + 1
j.us = j.co == 1 and j.ha or j.us
if well then
    M.leave_state(j)
    j[COUNTERS[counter]] = j[COUNTERS[counter]] - 1
    j.fb, j.cb, j.rb, j.nk = min(j.fb, j.nf), min(j.cb, j.nc), min(j.rb, j.nr), 1
    j.fl, j.ve, j.en, j.fa, j.rv = 0, N(A[6]), N(A[7]), now, j.rv + 1
    M.texts(j, {wh = 'read again from its evidence; it had ended as ' .. A[11], re = A[9]})
    M.enter_state(j, SUCCEEDED, M.lane(j.ln))
    M.offer_result(j, now)
    M.event(j, 'job.repaired', '{"state":"succeeded","verdict":"' .. M.verdicts[j.ve] .. '","end":"' .. A[8] .. '","was":"' ..
            A[11] .. '","have":' .. I(j.ha) .. M.call_back(j) .. '}')
    M.child_ended(j)
end
return done(R_OK)
