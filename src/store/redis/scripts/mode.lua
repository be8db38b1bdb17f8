#!lua flags=allow-oom
-- mode.lua - what the service as a whole does. ARGV: 'get'; or 'set', mode, by, why, body of the event up to what it was,
-- and behind that. Reply: {R_OK, mode, by, why, since}
local MODES = {[0] = 'normal', 'paused', 'draining', 'maintenance'}
if A[1] == 'set' then
    M.event(nil, 'mode.changed', A[5] .. MODES[meta.mode] .. A[6])
    meta.mode = N(A[2])
    call('HSET', P .. 'meta', 'mby', A[3], 'mwhy', A[4], 'mat', I(now))
end
local v = call('HMGET', P .. 'meta', 'mby', 'mwhy', 'mat')
if A[1] == 'get' then
    return {R_OK, meta.mode, v[1] or '', v[2] or '', N(v[3])}
end
return done(R_OK)
