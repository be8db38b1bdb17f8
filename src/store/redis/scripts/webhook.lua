#!lua flags=allow-oom
-- webhook.lua - webhooks and their deliveries (store/webhooks.h). Any node may take a delivery: whoever takes it has it until
-- its time is over.
-- ARGV: 'add', id, name, url, types, sealed secret, enabled, how many there may be; 'find', id; 'list'; 'on': those that are;
-- 'change', id, revision (-1: any), then 1 and the text or 0 and '' of name, url and types each, enabled (-1: as it is), why it is off;
-- 'rotate', id, revision, number of the new secret, sealed, old one until; 'remove', id, revision;
-- 'hand', id, act (0 open, 1 close, 2 reset), for how long, by, why, event, its body
-- 'place', id, revision, place in the log; 'fill', id, place that was seen, place, missed, texts behind each other: id, number of the
-- event, subject, name of the event, type, time, text of each delivery; 'take', id, most, for how long, at once, at once when ill,
-- fails of an ill one
-- 'sent', number; 'arrived', number, status, why, how many that ended are kept; 'failed', number, attempt and fails that were seen,
-- status, why, how many are kept, dead, tried again in, rest, off at once, why, why after too long, what too long is;
-- 'delivery', id; 'deliveries', webhook, state (-1: all), number before which (-1: the newest), how many (at most 100);
-- 'again', delivery, id, most that are open; 'ping', webhook, id, most
-- Reply: {R_OK, ...}, {R_NONE}, {R_STALE, revision}, {R_FULL}, {R_STATE} there is one already; of 'hand': it is off, {R_END}
--
-- Keys behind the prefix:
--   wh:ID      a webhook: fields below; ma em bu ta its limit (limit_set.lua), hu ha hb hw who holds it by hand. :a its deliveries by number, :0 :1 :2 by state; :s those under way by when they count as
--              lost; :q:SUBJECT those of a subject that have not arrived, in their order; :d the first of each by when it is due
--   d:N        a delivery      dids   id of a delivery to its number       hooks   all webhooks
local HOOK = fields_of({
    en = 0, of = 0, ou = 0, pl = 0, see = 0, fa = 0, fs = 0, re = 0, ok = 0, bad = 0, dd = 0, mi = 0, lo = 0, ca = 0, ua = 0, rv = 0,
    sn = 0, ma = 0, em = 0, bu = 0, ta = 0, hu = 0, ha = 0, na = '', ur = '', ty = '', ow = '', se = '', os = '', hb = '', hw = ''
})
local DELIVERY = fields_of({
    sq = 0, st = 0, at = 0, du = 0, le = 0, an = 0, hs = 0, ea = 0, id = '', wh = '', su = '', ev = '', ki = '', bo = '', wy = ''
})
local PENDING, DELIVERED, DEAD_ONE = 0, 1, 2
local PRUNE, REMOVE = 16, 200
local verb, id = A[1], A[2]

local function hook_of(name)
    local h, there = read(P .. 'wh:' .. name, HOOK)
    if not there then
        return nil
    end
    h.id, h.key, h.before = name, P .. 'wh:' .. name, copy(h)
    return h
end
local function write_hook(h)
    write(h.key, h, h.before, HOOK)
    h.before = copy(h)
end
local function delivery_of(n)
    local d, there = read(P .. 'd:' .. n, DELIVERY)
    if not there then
        return nil
    end
    d.n, d.key, d.before = N(n), P .. 'd:' .. n, copy(d)
    return d
end
local function write_delivery(d)
    write(d.key, d, d.before, DELIVERY)
    d.before = copy(d)
end
local function open_of(h)
    return call('ZCARD', h.key .. ':0')
end
local function view(h)
    return {h.id, call('HGETALL', h.key), open_of(h), meta.ev}
end

-- ---- deliveries ----

local function queue_of(d)
    return P .. 'wh:' .. d.wh .. ':q:' .. d.su
end
-- f: its fields that are not zero.
local function add(h, f)
    local d = setmetatable(f, DELIVERY.meta)
    local n = call('HINCRBY', P .. 'meta', 'did', 1)
    d.n, d.key, d.before = n, P .. 'd:' .. I(n), setmetatable({}, DELIVERY.meta)
    d.wh, d.du = h.id, now
    write_delivery(d)
    call('HSET', P .. 'dids', d.id, n)
    call('ZADD', h.key .. ':a', n, n)
    call('ZADD', h.key .. ':0', n, n)
    if call('RPUSH', queue_of(d), n) == 1 then
        call('ZADD', h.key .. ':d', d.du, n)
    end
end
local function forget(h, d)
    call('UNLINK', d.key)
    call('HDEL', P .. 'dids', d.id)
    call('ZREM', h.key .. ':a', d.n)
    call('ZREM', h.key .. ':' .. d.st, d.n)
end
-- The oldest that have ended go when there are too many of them.
local function prune(h, kept)
    local over = min(call('ZCARD', h.key .. ':1') + call('ZCARD', h.key .. ':2') - kept, PRUNE)
    for _ = 1, over do
        local one, two = call('ZRANGE', h.key .. ':1', 0, 0)[1], call('ZRANGE', h.key .. ':2', 0, 0)[1]
        local oldest = one and two and (N(one) < N(two) and one or two) or one or two
        forget(h, delivery_of(oldest))
    end
end
-- It has arrived, or is dead: the next one of its subject may go.
local function end_delivery(h, d, state, status, why, kept)
    call('ZREM', h.key .. ':0', d.n)
    call('ZREM', h.key .. ':s', d.n)
    call('ZREM', h.key .. ':d', d.n)
    call('ZADD', h.key .. ':' .. state, d.n, d.n)
    d.st, d.hs, d.wy, d.le, d.ea = state, status, why, 0, now
    write_delivery(d)
    call('LREM', queue_of(d), 1, d.n)
    local after = call('LINDEX', queue_of(d), 0)
    if after then
        call('ZADD', h.key .. ':d', delivery_of(after).du, after)
    end
    prune(h, kept)
end
local function delivery_view(d)
    return {d.n, call('HGETALL', d.key)}
end

-- ---- taking ----

local function first_score(key)
    return N(call('ZRANGE', key, 0, 0, 'WITHSCORES')[2] or INF)
end
local function take(h)
    local most, lease = N(A[3]), N(A[4])
    call('ZREMRANGEBYSCORE', h.key .. ':s', '-inf', now)
    local room = max((h.fa >= N(A[7]) and N(A[6]) or h.ma > 0 and h.ma or N(A[5])) - call('ZCARD', h.key .. ':s'), 0)
    local rests = max(h.re, h.hu, M.start_at(h.ta, h.em, h.bu))
    local some = rests > now and 0 or min(room, most)
    if h.em > 0 and some > 0 then
        some = min(some, max(h.bu, 1), floor((now - M.start_at(h.ta, h.em, h.bu)) / h.em) + 1)
    end
    local due = h.en == 1 and some > 0 and call('ZRANGEBYSCORE', h.key .. ':d', '-inf', now, 'LIMIT', 0, some) or {}
    local taken = {}
    for i, n in ipairs(due) do
        local d = delivery_of(n)
        d.le, d.du, d.an = now + lease, now + lease, d.an + 1
        write_delivery(d)
        call('ZADD', h.key .. ':s', d.le, n)
        call('ZADD', h.key .. ':d', d.du, n)
        taken[i] = delivery_view(d)
        h.ta = M.next_tat(h.ta, h.em, h.bu)
    end
    write_hook(h)
    local at
    if #due < room then
        at = first_score(h.key .. ':d')
        at = at < INF and max(at, h.re, h.hu, M.start_at(h.ta, h.em, h.bu)) or INF
    else
        at = first_score(h.key .. ':s')
    end
    return done(R_OK, at < INF and at or -1, now, taken)
end
local function fill(h)
    if h.pl ~= N(A[3]) then
        return {R_STALE, h.rv}
    end
    local parts = M.texts_of(A[6])
    for i = 1, #parts, 7 do
        add(h, {id = parts[i], sq = N(parts[i + 1]), su = parts[i + 2], ev = parts[i + 3], ki = parts[i + 4], at = N(parts[i + 5]),
                bo = parts[i + 6]})
    end
    h.pl, h.see, h.mi = N(A[4]), max(h.see, N(A[4])), h.mi + N(A[5])
    write_hook(h)
    return done(R_OK)
end

-- ---- what became of one ----

local function failed(d)
    local h = hook_of(d.wh)
    if d.an ~= N(A[3]) or h.fa ~= N(A[4]) then
        return {R_STALE, h.fa}
    end
    local status, why, kept, dead, off = N(A[5]), A[6], N(A[7]), A[8] == '1', 0
    h.fa, h.fs, h.bad = h.fa + 1, h.fs > 0 and h.fs or now, h.bad + 1
    h.re, h.dd = max(h.re, N(A[10]) > 0 and now + N(A[10]) or 0), h.dd + (dead and 1 or 0)
    if dead then
        end_delivery(h, d, DEAD_ONE, status, why, kept)
    else
        d.hs, d.wy, d.le, d.du = status, why, 0, now + N(A[9])
        write_delivery(d)
        call('ZREM', h.key .. ':s', d.n)
        call('ZADD', h.key .. ':d', d.du, d.n)
    end
    if h.en == 1 and (A[11] == '1' or now - h.fs >= N(A[14])) then
        off = 1
        h.en, h.of, h.ow, h.ua, h.rv = 0, now, A[11] == '1' and A[12] or A[13], now, h.rv + 1
        M.event(nil, 'webhook.disabled', '{"webhook":"' .. h.id .. '","why":"' .. h.ow .. '"}')
    end
    write_hook(h)
    if dead then
        M.event(nil, 'webhook.dead', '{"webhook":"' .. h.id .. '","delivery":"' .. d.id .. '"}')
    end
    return done(R_OK, dead and 1 or 0, off)
end
local function arrived(d)
    local h = hook_of(d.wh)
    end_delivery(h, d, DELIVERED, N(A[3]), A[4], N(A[5]))
    h.fa, h.fs, h.re, h.ok, h.lo = 0, 0, 0, h.ok + 1, now
    write_hook(h)
    return done(R_OK)
end

-- ---- what people do ----

local function add_hook()
    if call('EXISTS', P .. 'wh:' .. id) == 1 then
        return {R_STATE}
    elseif call('ZCARD', P .. 'hooks') >= N(A[8]) then
        return {R_FULL}
    end
    local h = setmetatable({na = A[3], ur = A[4], ty = A[5], se = A[6], en = N(A[7]), sn = 1, pl = meta.ev, see = meta.ev, ca = now,
                            ua = now, rv = 1}, HOOK.meta)
    write(P .. 'wh:' .. id, h, setmetatable({}, HOOK.meta), HOOK)
    call('ZADD', P .. 'hooks', 0, id)
    return done(R_OK)
end
local function change(h)
    h.na, h.ur, h.ty = A[4] == '1' and A[5] or h.na, A[6] == '1' and A[7] or h.ur, A[8] == '1' and A[9] or h.ty
    if A[10] == '1' then
        h.en, h.of, h.ow, h.fa, h.fs, h.re = 1, 0, '', 0, 0, 0
    elseif A[10] == '0' then
        h.en, h.of, h.ow = 0, now, A[11]
    end
    h.ua, h.rv = now, h.rv + 1
    write_hook(h)
    return done(R_OK)
end
local function rotate(h)
    if h.sn + 1 ~= N(A[4]) then
        return {R_STALE, h.rv}
    end
    h.os, h.ou, h.se, h.sn, h.ua, h.rv = h.se, N(A[6]), A[5], h.sn + 1, now, h.rv + 1
    write_hook(h)
    return done(R_OK)
end
-- What waits and is not under way is due at once; that is the first of each subject.
local function hurry(h)
    for _, n in ipairs(call('ZRANGEBYSCORE', h.key .. ':d', '(' .. I(now), '+inf')) do
        local d = delivery_of(n)
        if d.le <= now then
            d.du = now
            write_delivery(d)
            call('ZADD', h.key .. ':d', now, n)
        end
    end
end
local function hand(h)
    local act = A[3]
    if act == '0' then
        h.hu, h.ha, h.hb, h.hw = now + N(A[4]), now, A[5], A[6]
    elseif h.en == 0 then
        return {R_STATE}
    elseif max(h.re, h.hu) <= now and (act ~= '2' or h.fa == 0) then
        return done(R_OK) -- it is so already
    else
        h.hu, h.ha, h.hb, h.hw, h.re = 0, 0, '', '', 0
        if act == '2' then
            h.fa, h.fs = 0, 0
        end
        hurry(h)
    end
    write_hook(h)
    M.event(nil, A[7], A[8])
    return done(R_OK)
end
-- With many deliveries it takes several calls; it is off from the first on.
local function remove(h)
    for _, n in ipairs(call('ZRANGE', h.key .. ':a', 0, REMOVE - 1)) do
        local d = delivery_of(n)
        call('UNLINK', queue_of(d))
        forget(h, d)
    end
    if call('EXISTS', h.key .. ':a') == 1 then
        h.en = 0
        write_hook(h)
        return done(R_OK, 1)
    end
    call('UNLINK', h.key, h.key .. ':s', h.key .. ':d')
    call('ZREM', P .. 'hooks', id)
    return done(R_OK, 0)
end
local function all(wanted)
    local reply = {R_OK}
    for _, name in ipairs(call('ZRANGE', P .. 'hooks', 0, -1)) do
        local h = hook_of(name)
        if h and wanted(h) then
            reply[#reply + 1] = view(h)
        end
    end
    return reply
end
local function deliveries(h)
    local reply, from = {R_OK}, N(A[4]) < 0 and '+inf' or '(' .. A[4]
    local key = h.key .. ':' .. (N(A[3]) < 0 and 'a' or A[3])
    for _, n in ipairs(call('ZREVRANGEBYSCORE', key, from, '-inf', 'LIMIT', 0, min(N(A[5]), 100))) do
        reply[#reply + 1] = delivery_view(delivery_of(n))
    end
    return reply
end

local of_delivery = {
    sent = function(d) return {R_OK, d.wh, d.an, d.id, hook_of(d.wh).fa} end, arrived = arrived, failed = failed}
local of_id = {
    delivery = function(d) return {R_OK, delivery_view(d)} end,
    again = function(d)
        local h = hook_of(d.wh)
        if open_of(h) >= N(A[4]) then
            return {R_FULL, open_of(h)}
        end
        add(h, {id = A[3], sq = d.sq, su = d.su, ev = d.ev, ki = d.ki, at = d.at, bo = d.bo})
        return done(R_OK)
    end}
local of_hook = {
    find = function(h) return {R_OK, view(h)} end, deliveries = deliveries, fill = fill, take = take, hand = hand,
    ping = function(h)
        if open_of(h) >= N(A[4]) then
            return {R_FULL, open_of(h)}
        end
        -- Its id is also that of the event, and its own subject, so that it waits for nothing.
        add(h, {id = A[3], su = A[3], ev = A[3], ki = 'ping', at = now, bo = '{}'})
        return done(R_OK)
    end}
local of_revision = {
    change = change, rotate = rotate, remove = remove,
    place = function(h)
        h.pl, h.see = N(A[4]), max(h.see, N(A[4]))
        write_hook(h)
        return done(R_OK)
    end}

if verb == 'add' then
    return add_hook()
elseif verb == 'list' then
    return all(function() return true end)
elseif verb == 'on' then
    return all(function(h) return h.en == 1 end)
elseif of_delivery[verb] then
    local d = delivery_of(id)
    if not d or d.st ~= PENDING then
        return {R_END}
    end
    return of_delivery[verb](d)
elseif of_id[verb] then
    local d = delivery_of(call('HGET', P .. 'dids', id) or '')
    return d and of_id[verb](d) or {R_NONE}
end
local h = hook_of(id)
if not h then
    return {R_NONE}
elseif of_revision[verb] then
    if N(A[3]) >= 0 and h.rv ~= N(A[3]) then
        return {R_STALE, h.rv}
    end
    return of_revision[verb](h)
end
return of_hook[verb](h)
