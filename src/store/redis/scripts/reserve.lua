#!lua flags=allow-oom
-- reserve.lua - leases the next job that may start to a worker.
-- ARGV: worker, nonce, number of the question or '', needs, memory, time, sites ('*': all; else one a line), worker as
-- JSON
-- Reply: {R_OK, the lease}, {R_END, 1 when asking again at once may find one}
-- with ends.lua, take.lua, batches.lua
local worker, needs, memory, time = A[1], N(A[4]), N(A[5]), N(A[6])
local LOOKS = 100

local function lease_of(j, since)
    local t = call('HMGET', P .. 't:' .. j.id, 'cu', 'kn')
    return {j.id, j.fe, j.no, call('GET', P .. 'p:' .. j.id) or '', t[1] or '', j.li, j.nb, j.ha, max(now - since, 0), j.fi,
            j.mk == 2 and t[2] or '', j.am, j.sm, j.de, j.ln, M.lane(j.ln).cl, j.ep, j.wb, j.co, j.se}
end
-- Whose reply was lost on its way, and who asks again.
local function leased_before(id)
    local j = id and M.job(id)
    return j and j.st == ACTIVE and j.no == A[2] and j or nil
end
local again = leased_before(call('HGET', P .. 'leased', NODE))
if again then
    return {R_OK, lease_of(again, again.ra), {}}
end
local asked = A[3] ~= '' and call('HGET', P .. 'asked', worker .. ':' .. A[3])
if asked then
    local j = M.job(asked)
    if j and j.st == ACTIVE and j.wo == worker and j.rq == A[3] then
        return {R_OK, lease_of(j, j.ra), {}}
    end
end
M.leases = true
if meta.mode == PAUSED or meta.mode == MAINTENANCE or M.all_full() then
    return {R_END, 0, {}}
end
M.wake()

local known = {}
for site in string.gmatch(A[7], '[^\n]+') do
    known[site] = true
end
-- The first of the lane by rank among those whose needs can be met.
local function first_of(l)
    local first, rank
    for n = 0, needs do
        local top = l[n] > 0 and call('ZRANGE', l.key .. ':' .. n, 0, 0, 'WITHSCORES') or {}
        if top[1] and (not first or N(top[2]) < rank or (N(top[2]) == rank and top[1] < first)) then
            first, rank = top[1], N(top[2])
        end
    end
    return first and id_of(first)
end
local function fits(id)
    local v = call('HMGET', P .. 'j:' .. id, 'me', 'am')
    local attempt = N(v[2]) > 0 and N(v[2]) or ATTEMPT
    return (memory == 0 or N(v[1]) <= memory) and (time == 0 or attempt <= time)
end
local looked, aside, held, parked, closed, session = 0, 0, {}, 0, 0
local function try_lane(l)
    looked = looked + 1
    if site_full(l.site) or start_at(l.site.ta, l.site.em, l.site.bu) > now then
        held[#held + 1] = l
        return nil
    end
    -- Its turn came when time had opened it; time that went back since has closed it.
    if M.starts_now(l) == 0 then
        l.touched, closed = true, closed + 1
        return nil
    end
    local id = (known['*'] or known[l.si]) and first_of(l)
    if id and fits(id) then
        local f = string.find(l.name, '@', 1, true) and M.fixed(id) or {}
        if (f[6] or '') == '' then
            return id
        end
        local til
        session, til = M.session_pick(f[1], f[6], f[7])
        if session then
            return id
        end
        M.park(l, f[1], f[6], til)
        parked = parked + 1
        return nil
    end
    aside = aside + 1
    return nil
end
local function enough()
    return looked >= LOOKS or aside >= STEP
end
local function try_tenant(t)
    local at, page, l, id = 0, 16
    repeat
        local turns = call('ZRANGE', t.key .. ':' .. needs, at, at + page - 1)
        for _, turn in ipairs(turns) do
            l = M.lane(string.sub(turn, 11))
            id = l and try_lane(l)
            if id or enough() then
                return l, id
            end
        end
        at = at + page
    until #turns < page
    return nil
end
local function choose()
    local at, page = 0, 16
    repeat
        local turns = call('ZRANGE', P .. 'tz' .. needs, at, at + page - 1)
        for _, turn in ipairs(turns) do
            local l, id = try_tenant(M.tenant(string.sub(turn, 18)))
            if id or enough() then
                return l, id
            end
        end
        at = at + page
    until #turns < page
    return nil
end
-- The site has as many jobs running as it may, or its rate is used up: the lane waits for that.
local function set_aside(l)
    call('ZREM', l.tenant.key .. ':0', l.turn)
    call('ZREM', l.tenant.key .. ':1', l.turn)
    if site_full(l.site) then
        call('ZREM', P .. 'waits', l.turn)
        call('ZADD', l.site.key .. ':f', now, l.turn)
    else
        call('ZADD', P .. 'waits', start_at(l.site.ta, l.site.em, l.site.bu), l.turn)
    end
    call('HSET', l.key, 'sg', 'f')
    l.sg, l.before.sg, l.tenant.touched = 'f', 'f', true
end
local l, id = choose()
for _, h in ipairs(held) do
    set_aside(h)
end
if not id then
    if #held + parked + closed == 0 then
        return {R_END, 0, {}}
    end
    return done(R_END, looked >= LOOKS and 1 or 0)
end

local j = M.job(id)
local since = j.ra
if j.mk == 2 then
    local mark = call('HGET', P .. 't:' .. id, 'kn')
    if not mark then
        local f = M.fixed(id)
        mark = call('HGET', P .. 'mk:' .. table.concat({f[1], f[2], f[3], f[5]}, '\n'), 'posts') or ''
        call('HSET', P .. 't:' .. id, 'kn', mark)
    end
end
j.fe, j.no, j.wo, j.ow, j.rq, j.le, j.ep = j.fe + 1, A[2], worker, NODE, A[3], now + LEASE, meta.epoch
j.su, j.sd, j.pg, j.sa = 0, 0, 0, j.sa > 0 and j.sa or now
M.move(j, ACTIVE)
if session then
    M.session_take(session, j)
end
if j.rq ~= '' then
    call('HSET', P .. 'asked', worker .. ':' .. j.rq, id)
end
M.started(l, max(now - since, 0))
call('HSET', P .. 'leased', NODE, id)
M.event(j, 'job.started', '{"state":"active","attempt":' .. I(j.fe) .. ',"worker":' .. A[8] .. ',"waited_ms":' ..
        I(max(now - since, 0)) .. (session and ',"session":"' .. session.id .. '"' or '') .. '}')
return done(R_OK, lease_of(j, since))
