#!lua flags=allow-oom
-- open.lua - takes the store for a node: checks its schema, makes what is missing; then gives back the leases of an
-- earlier process of this node, at most STEP in a call.
-- ARGV: schema, oldest that it can be used with, how many leases of others were passed over; -1: begin.
-- Reply: {R_OK, epoch, schema, next (-1: all done)}, {R_STATE, schema}
-- with ends.lua
local schema = N(call('HGET', P .. 'meta', 'schema') or A[1])
if schema < N(A[2]) or schema > N(A[1]) then
    return {R_STATE, schema}
end
local at = N(A[3])
if at < 0 then
    call('HSETNX', P .. 'meta', 'schema', A[1])
    meta.epoch, at = meta.epoch + 1, 0
end
local members, words = call('ZRANGE', P .. 'act', at, at + STEP - 1), {'the service was restarted', '"the service was restarted"'}
local again = 'the service ended again and again while this job ran'
for _, member in ipairs(members) do
    local j = M.job(id_of(member))
    if j and j.ow == NODE then
        local out = {failure = 0, why = words}
        M.charge(j, B_RELEASE, 0, out)
        if out.on == E_GIVE_UP then
            out.failure, out.failure_name, out.why = F_CRASH, 'crash', {again, '"' .. again .. '"'}
        end
        M.sign(M.lane(j.ln), SIGN_NONE, j.sq)
        M.leave(j, out)
    else
        at = at + 1
    end
end
if call('EXISTS', P .. 'act') == 0 then
    meta.reaped = now
end
return done(R_OK, meta.epoch, schema, #members == STEP and at or -1)
