#!lua flags=allow-oom
-- limit_set.lua - sets a limit above lanes. ARGV: scope, name, jobs at once, weight, distance, burst (-2: as it is), event
-- body, place of the tenant. Reply: {R_OK}
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
else
    local s = M.site(A[2])
    call('ZADD', P .. 'sites', 0, A[2])
    s.ma, s.em, s.bu = or_old(A[3], s.ma), or_old(A[5], s.em), or_old(A[6], s.bu)
    call(s.em > 0 and 'ZADD' or 'ZREM', P .. 'rated', unpack(s.em > 0 and {0, A[2]} or {A[2]}))
    s.freed = true
end
M.event(nil, 'limit.changed', A[7])
return done(R_OK)
