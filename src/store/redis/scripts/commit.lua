-- commit.lua - a batch is in the archive: the job's counts and its cursor follow.
-- ARGV: id, nonce, batch, cursor, filtered, then have, users, bytes and what was added, rejected, in conflict ('': the
-- batch has no records). Reply: {R_OK, duplicate, have}, {R_STALE}, {R_STATE, next batch}
local j = M.held(A[1], A[2])
if not j then
    return {R_STALE}
end
local batch = N(A[3])
if batch == j.nb - 1 then
    return {R_OK, 1, j.ha}
elseif batch ~= j.nb then
    return {R_STATE, j.nb}
end
local added = N(A[9])
if A[6] ~= '' then
    j.ha, j.us, j.by = N(A[6]), N(A[7]), N(A[8])
    j.rj, j.cf = j.rj + N(A[10]), j.cf + N(A[11])
end
if added > 0 then
    j.fb, j.cb, j.rb, j.pg = j.nf, j.nc, j.nr, 1
end
j.nb, j.fi, j.wb, j.rv = j.nb + 1, j.fi + N(A[5]), 0, j.rv + 1
if A[4] ~= '' then
    call('HSET', P .. 't:' .. j.id, 'cu', A[4])
end
M.event(j, 'job.progress', '{"state":"active","batch":' .. I(batch) .. ',"added":' .. I(added) .. ',"have":' .. I(j.ha) ..
        ',"users":' .. I(j.us) .. '}')
return done(R_OK, 0, j.ha)
