#!lua flags=allow-oom
-- outlook.lua - what may start now, and when something falls due.
-- Reply: {R_OK, startable, of these light, runnable, next (-1: nothing), mode, {jobs by state}, {lanes by word},
-- newest event, when schedules are to be looked at by the wall's time, and by elapsed time (-1: never), time of the
-- server}
local MOST = 256
M.wake()
local function first_of(index)
    return N(call('ZRANGE', P .. index, 0, 0, 'WITHSCORES')[2] or INF)
end
local next_at = min(first_of('sched'), first_of('act'), first_of('stop'), first_of('over'), first_of('opdue'),
                    first_of('oplabel'), first_of('bcdue'), first_of('bsettle'), first_of('bcoming'))
if call('EXISTS', P .. 'unset') == 1 then
    next_at = now
end

local counted
-- Starts that a site allows beside those that were counted.
local function site_room(s)
    local room = INF
    if s.ma > 0 then
        room = s.ma - M.active_of(s)
    end
    if s.em > 0 then
        local at = start_at(s.ta, s.em, s.bu)
        local saved = at > now and 0 or floor((now - at) / s.em) + 1
        room = min(room, saved, max(s.bu, 1))
    end
    return room - (counted[s.name] or 0)
end
local function tenant_starts(t, needs, most)
    local n = 0
    if t.ma > 0 then
        most = min(most, t.ma - M.active_of(t))
    end
    for _, turn in ipairs(call('ZRANGE', t.key .. ':' .. needs, 0, MOST - 1)) do
        if n >= most then
            break
        end
        local key = P .. 'l:' .. string.sub(turn, 11)
        local v = call('HMGET', key, 'st', 'si')
        local here = N(v[1])
        if needs == 0 then
            here = min(here, call('ZCARD', key .. ':0'))
        end
        here = max(min(here, site_room(M.site(v[2] or ''))), 0)
        counted[v[2] or ''] = (counted[v[2] or ''] or 0) + here
        n = n + here
    end
    return max(min(n, most), 0)
end
local function all_starts(needs)
    local most, n = MOST, 0
    counted = {}
    if M.active_max() > 0 then
        most = min(most, M.active_max() - call('ZCARD', P .. 's:3'))
    end
    for _, turn in ipairs(call('ZRANGE', P .. 'tz' .. needs, 0, MOST - 1)) do
        if n >= most then
            break
        end
        n = n + tenant_starts(M.tenant(string.sub(turn, 18)), needs, most - n)
    end
    return max(n, 0)
end
-- Lanes whose site has no start left stand in their turn all the same: when the site allows one more is news.
local function site_times()
    for _, name in ipairs(call('ZRANGE', P .. 'rated', 0, 99)) do
        local s = M.site(name)
        local at = start_at(s.ta, s.em, s.bu)
        local missed = at > now and 0 or floor((now - at) / s.em) + 1
        if s.em > 0 and missed < max(s.bu, 1) and call('EXISTS', s.key .. ':n') == 1 then
            next_at = min(next_at, at + missed * s.em)
        end
    end
end
local startable, light = 0, 0
if rests_until > now then
    next_at = min(next_at, rests_until)
elseif meta.mode ~= PAUSED and meta.mode ~= MAINTENANCE then
    startable, light = all_starts(1), all_starts(0)
    next_at = min(next_at, first_of('waits'))
    site_times()
end
local states, words = {}, {}
for st = 0, 7 do
    states[st + 1] = call('ZCARD', P .. 's:' .. st)
end
local counts = call('HMGET', P .. 'words', 1, 2, 3, 4, 5, 6, 'rn')
for i = 1, 6 do
    words[i] = N(counts[i])
end
return {R_OK, startable, light, N(counts[7]), next_at < INF and next_at or -1, meta.mode, states, words, meta.ev,
        first_of('sdw0') < INF and first_of('sdw0') or -1, first_of('sdw1') < INF and first_of('sdw1') or -1, now}
