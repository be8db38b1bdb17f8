#!lua flags=allow-oom
-- limit_set.lua - sets a limit above lanes. ARGV: scope, name, jobs at once, weight, distance, burst (-2: as it is), event
-- body, place of the tenant. Reply: {R_OK}, {R_NONE}: no such webhook
local function or_old(text, old)
    return N(text) == -2 and old or N(text)
end
if A[1] == '0' then
    meta.amax = or_old(A[3], meta.amax)
elseif A[1] == '1' then
    local t = M.tenant(A[2])
    if t.th == '' then
        t.th, t.ps = A[8], meta.tvt
        call('ZADD', P .. 'tenants', 0, A[2])
    end
    t.ma, t.we, t.touched = or_old(A[3], t.ma), or_old(A[4], t.we), true
elseif A[1] == '3' then
    local key = P .. 'wh:' .. A[2]
    if call('EXISTS', key) == 0 then
        return {R_NONE}
    end
    local was = call('HMGET', key, 'ma', 'em', 'bu', 'ta')
    local most, emit, burst = or_old(A[3], N(was[1])), or_old(A[5], N(was[2])), or_old(A[6], max(N(was[3]), 1))
    call('HDEL', key, 'ma', 'em', 'bu') -- what is 0 is not stored
    if most > 0 then
        call('HSET', key, 'ma', I(most))
    end
    if emit > 0 then
        call('HSET', key, 'em', I(emit), 'bu', I(burst))
        if N(was[4]) > now + max(burst, 1) * emit then -- limit_tat_under() in core/limit.c
            call('HSET', key, 'ta', I(now + max(burst, 1) * emit))
        end
    end
else
    local s = M.site(A[2])
    call('ZADD', P .. 'sites', 0, A[2])
    s.ma, s.em, s.bu = or_old(A[3], s.ma), or_old(A[5], s.em), or_old(A[6], s.bu)
    call(s.em > 0 and 'ZADD' or 'ZREM', P .. 'rated', unpack(s.em > 0 and {0, A[2]} or {A[2]}))
    s.freed = true
end
M.event(nil, 'limit.changed', A[7])
return done(R_OK)
