#!lua flags=allow-oom
-- lease.lua - what a worker says while it has a job.
-- ARGV: id, nonce, what: 'started'; 'heartbeat'; 'write', number of the batch that the archive is about to get ('' none);
-- 'look'. Reply: {R_OK, cancel, epoch, fence, next batch, have, users, limit, counts, site, state}, {R_STALE}
local j = M.held(A[1], A[2])
if not j then
    return {R_STALE}
end
if A[3] == 'started' then
    j.sd, j.rv = 1, j.rv + 1
elseif A[3] == 'heartbeat' then
    j.le, j.su = now + LEASE, 0
    call('ZADD', P .. 'act', j.le, j.member)
elseif A[3] == 'write' and N(A[4]) == j.nb then
    j.wb = j.nb + 1
end
return done(R_OK, j.cq, j.ep, j.fe, j.nb, j.ha, j.us, j.li, j.co, M.fixed(j.id)[1] or '')
