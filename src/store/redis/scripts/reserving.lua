-- reserving.lua - a worker gets the next job that may start: part of the scripts that ask for one, behind take.lua.
-- late
local LOOKS = 100
local PATIENCE, MAKING_ROOM = 30000, 600000 -- of a node that does not say its own; for so long one makes room
local PEEK, PEEKS = 16, 128 -- jobs of a lane, of each kind of needs, of which one is to fit; beside the first ones, of all lanes for one question
-- Of the question that is answered now: a worker's needs, what it knows; and how far the look for a job has come.
local needs, memory, least, patience, time, known, aside, held, parked, closed, session, peeks
local passed -- the first job of a lane that takes too much memory: of those that were met the one that is ready for longest
local looked = 0 -- in this script
-- Where the last one was found, when that was first in its turn: lane, needs, and score and member of the next lane and of the
-- next tenant ('': none).
local found

local function lease_of(j, since)
    local t = (j.nb > 0 or j.mk == 2) and call('HMGET', P .. 't:' .. j.id, 'cu', 'kn') or {}
    local lease = M.shortened({
        j.id, j.fe, j.no, j.fixed or M.fixed_text(j.id), j.ln, M.lane(j.ln).cl, j.ep, max(now - since, 0), j.li, -- and what few have:
        j.am, j.sm, j.de, j.nb, j.ha, j.fi, j.wb, j.co, t[1] or '', j.mk == 2 and t[2] or '', j.se, j.ug,
        passed and max(now - passed.ra, 0) or 0, passed and passed.me or 0, passed and passed.id or ''
    })
    M.leased[#M.leased + 1] = lease
    return lease
end
-- Whose reply was lost on its way, and who asks again. leased: what the node's last question brought, "id nonce" a line.
local function leased_before(leased, nonce)
    local at, id = leased and string.find(leased, ' ' .. nonce, 1, true)
    if at then
        id = string.match(string.sub(leased, 1, at - 1), '[^\n]*$')
    elseif leased and not string.find(leased, ' ', 1, true) then
        id = leased -- an earlier version has written it
    end
    local j = id and M.job(id)
    return j and j.st == ACTIVE and j.no == nonce and j or nil
end
local function asked_before(worker, request)
    local id = request ~= '' and call('HGET', P .. 'asked', worker .. ':' .. request)
    local j = id and M.job(id)
    return j and j.st == ACTIVE and j.wo == worker and j.rq == request and j or nil
end
-- The first of the lane that could start.
local function first_of(l)
    local j, gone = M.ready_job(l, needs, false)
    closed = closed + gone
    return j and j.id
end
local function fits(takes, attempt)
    return (memory == 0 or takes <= memory) and takes >= least and (time == 0 or (attempt > 0 and attempt or ATTEMPT) <= time)
end
-- One that does not fit holds up nobody behind it, as far as is looked.
local function first_fitting(l)
    local id = first_of(l)
    local j = id and (memory > 0 or least > 0 or time > 0) and M.job(id)
    if not j or fits(j.me, j.am) then
        return id
    end
    if memory > 0 and j.me > memory and not (passed and passed.ra <= j.ra) then
        passed = j
    end
    local other, count = M.fitting_job(l, needs, PEEK, peeks, fits)
    peeks = peeks - count
    return other and other.id
end
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
    local id = (known['*'] or known[l.si]) and first_fitting(l)
    if id then
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
-- What stands behind place i of a page: score and member; '' nothing, nil when the page does not say.
local function behind(turns, i, page)
    if turns[2 * i + 1] then
        return {N(turns[2 * i + 2]), turns[2 * i + 1]}
    end
    return i < page and '' or nil
end
local function try_tenant(t)
    local at, page, l, id = 0, 16
    repeat
        local turns = call('ZRANGE', t.key .. ':' .. needs, at, at + page - 1, 'WITHSCORES')
        for i = 1, #turns, 2 do
            l = M.lane_if_sound(string.sub(turns[i], 11))
            id = l and try_lane(l)
            if id or enough() then
                return l, id, at + i == 1 and behind(turns, 1, page)
            end
        end
        at = at + page
    until #turns < 2 * page
    return nil
end
local function choose()
    local at, page = 0, 16
    repeat
        local turns = call('ZRANGE', P .. 'tz' .. needs, at, at + page - 1, 'WITHSCORES')
        for i = 1, #turns, 2 do
            local l, id, next_lane = try_tenant(M.tenant(string.sub(turns[i], 18)))
            local next_tenant = id and next_lane and at + i == 1 and behind(turns, 1, page)
            found = next_tenant and {lane = l, needs = needs, next_lane = next_lane, next_tenant = next_tenant} or nil
            if id or enough() then
                return l, id
            end
        end
        at = at + page
    until #turns < 2 * page
    return nil
end
local function is_before(score, member, other)
    return other == '' or score < other[1] or (score == other[1] and member < other[2])
end
-- Whether it would be the same lane that comes next, had all that changed in this script taken its place.
local function stays_first()
    local l = found and found.needs == needs and found.lane
    if not l or not is_before(l.ps, l.turn, found.next_lane) or
        not is_before(l.tenant.ps, l.tenant.th .. ':' .. l.tenant.name, found.next_tenant) then
        return false
    end
    return M.only_touched(l)
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
-- What is marked: the newest posts that the last one of its kind knew.
local function give_mark(id)
    local mark = call('HGET', P .. 't:' .. id, 'kn')
    if not mark then
        local f = M.fixed(id)
        mark = call('HGET', P .. 'mk:' .. table.concat({f[1], f[2], f[3], f[5]}, '\n'), 'posts') or ''
        call('HSET', P .. 't:' .. id, 'kn', mark)
    end
end
local function start(l, id, a)
    local j = M.job(id)
    local since = j.ra
    if j.mk == 2 then
        give_mark(id)
    end
    j.fe, j.no, j.wo, j.ow, j.rq, j.le, j.ep = j.fe + 1, a[2], a[1], NODE, a[3], now + LEASE, meta.epoch
    j.su, j.sd, j.pg, j.sa = 0, 0, 0, j.sa > 0 and j.sa or now
    M.move(j, ACTIVE)
    if session then
        M.session_take(session, j)
    end
    if j.rq ~= '' then
        call('HSET', P .. 'asked', j.wo .. ':' .. j.rq, id)
    end
    M.started(l, max(now - since, 0))
    M.leases = true
    M.event(j, 'job.started', '{"state":"active","attempt":' .. I(j.fe) .. ',"worker":' .. a[8] .. ',"waited_ms":' ..
            I(max(now - since, 0)) .. (session and ',"session":"' .. session.id .. '"' or '') .. '}')
    return {R_OK, lease_of(j, since)}, true
end
local function begin_look(a)
    needs, memory, least, time, known = N(a[4]), N(a[5]), N(a[9]), N(a[6]), {}
    patience = a[10] and N(a[10]) or PATIENCE
    aside, held, parked, closed, session, peeks = 0, {}, 0, 0, nil, PEEKS
    known['*'] = a[7] == '*'
    for site in string.gmatch(known['*'] and '' or a[7], '[^\n]+') do
        known[site] = true
    end
end
-- Everything stands where time and those before it in this script have put it.
local function look_again()
    held, parked, closed, session = {}, 0, 0, nil
    if M.woken then
        M.places()
    else
        M.wake()
    end
    M.woken = true
end
-- One node at a time makes room for what is passed over: it asks for nothing until nothing runs on it. One that does not do so
-- now keeps others from it neither.
local function makes_room()
    if patience == 0 or now - passed.ra < patience then
        return false
    end
    local who = call('GET', P .. 'room')
    if not who then
        call('SET', P .. 'room', NODE, 'PX', MAKING_ROOM)
    end
    return not who or who == NODE
end
-- a: what reserve.lua is asked; leased: what HGET leased NODE says. Answers as that does, and whether something was changed.
function M.reserve(a, leased)
    passed = nil
    local again = leased_before(leased, a[2]) or asked_before(a[1], a[3])
    if again then
        return {R_OK, lease_of(again, again.ra)}, false
    end
    if meta.mode == PAUSED or meta.mode == MAINTENANCE or rests_until > now or M.all_full() then
        return {R_END, 0}, false
    end
    begin_look(a)
    if (least > 0 or patience == 0) and call('GET', P .. 'room') == NODE then
        call('DEL', P .. 'room') -- the room is there, or not made any more
    end
    local l, id
    if stays_first() then
        l = found.lane
        id = try_lane(l)
    end
    if not id then
        look_again()
        l, id = choose()
    end
    for _, h in ipairs(held) do
        set_aside(h)
    end
    if id then
        if passed and not makes_room() then
            passed = nil
        end
        return start(l, id, a)
    end
    M.leases = M.leases or #held + parked + closed > 0
    return {R_END, looked >= LOOKS and 1 or 0}, #held + parked + closed > 0
end
