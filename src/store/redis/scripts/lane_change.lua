#!lua flags=allow-oom
-- lane_change.lua - sets something of a lane. ARGV: name, tenant, site, class, place of the tenant, act, for how long, weight,
-- jobs at once, distance, burst, depth, overflow, default priority (-2: as it is, -1: as configured), by, why, event, its body. Reply: {R_OK}, {R_LANES}
local SET, PAUSE, RESUME, CLOSE, LANE_OPEN, BREAKER_OPEN, BREAKER_CLOSE, BREAKER_RESET, UNBLOCK = 0, 1, 2, 3, 4, 5, 6, 7, 8
local l, act, til = M.lane(A[1]), N(A[6]), now + N(A[7])
if not l and call('ZCARD', P .. 'lanes') >= LANES_MAX then
    return {R_LANES}
end
l = M.lane_want(A[1], {te = A[2], si = A[3], cl = N(A[4]), th = A[5]})
local FIELDS = {'ow', 'oa', 'oe', 'ob', 'od', 'oo', 'op', 'pa', 'co', 'fo', 'bs', 'bf', 'tr', 'wf', 'ws', 'wb', 'lb', 'bu', 'pc'}
local was = {}
for _, f in ipairs(FIELDS) do
    was[f] = l[f]
end
local function close_breaker()
    M.breaker_is(l, CLOSED)
    l.bf, l.bt, l.tr, l.wf, l.ws, l.wb = 0, 0, 0, 0, 0, 0
end
-- The site is not known to ask for less.
local function use_all_of_the_rate()
    local was = M.settings(l).pace
    l.ta = l.ta > now and now + floor(((l.ta - now) * was + 99) / 100) or l.ta
    l.pc, l.set = '', nil
end
if act == SET then
    if N(A[10]) ~= -2 and N(A[10]) + 1 ~= l.oe then
        use_all_of_the_rate()
    end
    for i, f in ipairs({'ow', 'oa', 'oe', 'ob', 'od', 'oo', 'op'}) do
        l[f] = N(A[7 + i]) ~= -2 and N(A[7 + i]) + 1 or l[f]
    end
elseif act == PAUSE or act == RESUME then
    l.pa = act == PAUSE and 1 or 0
elseif act == CLOSE or act == LANE_OPEN then
    l.co = act == CLOSE and 1 or 0
elseif act == BREAKER_OPEN then
    M.breaker_is(l, OPEN)
    l.bt, l.fo = til, til
elseif act == BREAKER_CLOSE then
    close_breaker()
    l.fo = til
elseif act == BREAKER_RESET then
    close_breaker()
    l.fo, l.lb = 0, 0
else
    l.bu = now
    use_all_of_the_rate()
end
local same = true
for _, f in ipairs(FIELDS) do
    same = same and was[f] == l[f]
end
l.touched = true
if not same then
    local stops = act == PAUSE or act == CLOSE
    if stops then
        call('HSET', l.key, 'nby', A[15], 'nwhy', A[16], 'nat', I(now))
    elseif l.pa == 0 and l.co == 0 then
        call('HDEL', l.key, 'nby', 'nwhy', 'nat')
    end
    if act == BREAKER_OPEN or act == BREAKER_CLOSE then
        call('HSET', l.key, 'hb', A[15], 'hw', A[16], 'ha', I(now), 'hu', I(til))
    elseif act == BREAKER_RESET then
        call('HDEL', l.key, 'hb', 'hw', 'ha', 'hu')
    end
    M.event(nil, A[17], A[18])
end
return done(R_OK)
