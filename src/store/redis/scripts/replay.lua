#!lua flags=allow-oom
-- replay.lua - an ended job comes back: the same id, what it has, a new generation.
-- ARGV: id, from the beginning. Reply: {R_OK, what it was, generation}, {R_NONE}, {R_STATE, state}, {R_TAKEN, id, state},
-- {R_MODE, mode}, {R_CLOSED, lane}, {R_FULL}, {R_SESSION, site, pool}
local j = M.job(A[1])
if not j then
    return {R_NONE}
elseif j.st < DEAD then
    return {R_STATE, j.st}
end
local l = M.lane(j.ln)
if j.uk ~= '' then
    local live = M.live(l.te, j.uk, false) or M.live(l.te, j.uk, true)
    if live then
        return {R_TAKEN, live.id, live.st}
    end
end
if meta.mode == DRAINING or meta.mode == MAINTENANCE then
    return {R_MODE, meta.mode}
elseif l.co == 1 then
    return {R_CLOSED, l.name}
elseif call('ZCARD', P .. 's:0') + call('ZCARD', P .. 's:1') + call('ZCARD', P .. 's:2') >= READY_MAX then
    return {R_FULL}
end
local f, was = M.fixed(j.id), j.st
if f[6] ~= '' then
    return {R_SESSION, f[1], f[6]}
end
M.leave_state(j)
j.rk, j.ra, j.ge, j.fb, j.cb, j.rb = now - j.pr * AGING, now, j.ge + 1, j.nf, j.nc, j.nr
j.ov, j.de, j.cq, j.fl, j.ve, j.en, j.fa, j.fp, j.rv = 0, 0, 0, 0, 0, 0, 0, '', j.rv + 1
call('HDEL', P .. 't:' .. j.id, 'wh', A[2] == '1' and 'cu' or '')
M.enter_state(j, READY, l)
M.point(j)
M.event(j, 'job.replayed', '{"state":"ready","was":"' .. STATES[was] .. '","generation":' .. I(j.ge) .. ',"reset":' ..
        (A[2] == '1' and 'true' or 'false') .. ',"have":' .. I(j.ha) .. '}')
return done(R_OK, was, j.ge)
