#!lua flags=allow-oom
-- operation.lua - many dead jobs are replayed or deleted in bounded pieces; a piece and how far it came are one transition.
-- ARGV: 'start', id, kind, failure (-1: any), site, kind of job, fingerprint, since, until, reset, rate, job ('': all);
-- 'tend': a piece of the one that is due first; 'cancel', id; 'view', id; 'list', id behind which, how many; 'retain', before
-- Reply: {R_OK, {fields and values}, ...}; of 'tend', 'retain' {R_OK, whether there may be more}; {R_NONE}, {R_STATE, state}
-- with ends.lua
local REPLAY, DELETE = 0, 1
local RUNNING, DONE, STOPPED = 0, 1, 2
local PIECE, LOOKS, PAUSE, BEHIND, WAIT = 100, 200, 20, 1000, 5000
local KINDS = {[0] = 'replay', 'delete', 'cancel'}
local NUMBERS = {'oid', 'kind', 'state', 'failure', 'since', 'til', 'reset', 'rate', 'cursor', 'last', 'due', 'done', 'skipped'}

local function key_of(id)
    return P .. 'op:' .. id
end
local function load(id)
    local v = call('HMGET', key_of(id), unpack(NUMBERS))
    local o = {id = id}
    for i, name in ipairs(NUMBERS) do
        o[name] = N(v[i])
    end
    v = call('HMGET', key_of(id), 'site', 'jk', 'fp')
    o.site, o.jk, o.fp = v[1] or '', v[2] or '', v[3] or ''
    return o
end
local function save(o, state)
    call('HSET', key_of(o.id), 'state', state, 'cursor', o.cursor, 'due', I(o.due), 'done', o.done, 'skipped', o.skipped, 'ua',
         I(now))
    if state == RUNNING then
        call('ZADD', P .. 'opdue', o.due, o.id)
        return
    end
    call('HSET', key_of(o.id), 'fa', I(now))
    call('ZREM', P .. 'opdue', o.id)
    call('ZADD', P .. 'opend', now, o.id)
    M.event(nil, state == DONE and 'operation.done' or 'operation.cancelled', '{"kind":"' .. KINDS[o.kind] .. '","done":' ..
            I(o.done) .. ',"skipped":' .. I(o.skipped) .. '}', o.id)
end
local function view(id)
    local fields = call('HGETALL', key_of(id))
    fields[#fields + 1] = 'id'
    fields[#fields + 1] = id
    return fields
end

local function matches(o, j)
    local f = (o.site ~= '' or o.jk ~= '') and M.fixed(j.id) or {}
    return j.st == DEAD and j.fa >= o.since and j.fa <= o.til and (o.failure < 0 or o.failure == j.fl) and
        (o.site == '' or o.site == f[1]) and (o.jk == '' or o.jk == f[2]) and (o.fp == '' or o.fp == j.fp)
end
-- R_OK, R_FULL (not now), or R_STATE (left out).
local function touch(o, j)
    if o.kind == DELETE then
        if M.is_needed(j.id) then
            return R_STATE
        end
        M.forget(j)
        return R_OK
    end
    local said = M.replay(j, o.reset == 1)[1]
    return said == R_OK and R_OK or (said == R_MODE or said == R_CLOSED or said == R_FULL) and R_FULL or R_STATE
end
local function allowed(o, step)
    if step == 0 then
        return PIECE
    end
    o.due = max(o.due, now - BEHIND)
    return o.due > now and 0 or min(floor((now - o.due) / step) + 1, PIECE)
end
local function piece(o)
    local step = o.rate > 0 and floor((60000 + o.rate - 1) / o.rate) or 0
    local most = allowed(o, step)
    if most == 0 then
        return
    end
    local found = call('ZRANGEBYSCORE', P .. 's:5', '(' .. o.cursor, o.last, 'WITHSCORES', 'LIMIT', 0, LOOKS)
    local touched, over, wait = 0, #found < 2 * LOOKS, false
    for i = 1, #found, 2 do
        local j = M.job(found[i])
        if j and matches(o, j) then
            local said = touched < most and touch(o, j) or R_END
            wait = said == R_FULL
            if wait or said == R_END then
                over = false
                break
            end
            touched = touched + 1
            o.done, o.skipped = o.done + (said == R_OK and 1 or 0), o.skipped + (said == R_OK and 0 or 1)
            o.due = o.due + (said == R_OK and step or 0)
        end
        o.cursor = N(found[i + 1])
    end
    if over then
        save(o, DONE)
        return
    end
    o.due = wait and now + WAIT or o.due > now and o.due or now + PAUSE
    save(o, RUNNING)
end

local verb, id = A[1], A[2]
if verb == 'list' then
    local reply, from = {R_OK}, '+inf'
    if id ~= '' then
        from = call('HGET', key_of(id), 'oid')
        if not from then
            return {R_NONE}
        end
        from = '(' .. from
    end
    for _, one in ipairs(call('ZREVRANGEBYSCORE', P .. 'ops', from, '-inf', 'LIMIT', 0, min(N(A[3]), 50))) do
        reply[#reply + 1] = view(one)
    end
    return reply
elseif verb == 'tend' then
    local due = call('ZRANGEBYSCORE', P .. 'opdue', '-inf', now, 'LIMIT', 0, 1)[1]
    if due then
        piece(load(due))
    end
    return done(R_OK, due and 1 or 0)
elseif verb == 'retain' then
    local old = call('ZRANGEBYSCORE', P .. 'opend', '-inf', '(' .. id, 'LIMIT', 0, PIECE)
    for _, one in ipairs(old) do
        call('UNLINK', key_of(one), P .. 'e:' .. one)
        call('ZREM', P .. 'ops', one)
        call('ZREM', P .. 'opend', one)
    end
    return done(R_OK, #old == PIECE and 1 or 0)
end
local there = call('EXISTS', key_of(id)) == 1
if verb == 'start' then
    local first, last = 0, meta.seq
    if A[12] ~= '' then
        local j = M.job(A[12])
        if not j then
            return {R_NONE}
        elseif j.st ~= DEAD then
            return {R_STATE, j.st}
        end
        first, last = j.sq - 1, j.sq
    end
    if there then
        return {R_TAKEN}
    end
    local oid, til = call('HINCRBY', P .. 'meta', 'oid', 1), N(A[9])
    til = til > 0 and til < now and til or now
    call('HSET', key_of(id), 'oid', oid, 'kind', A[3], 'state', RUNNING, 'failure', A[4], 'site', A[5], 'jk', A[6], 'fp', A[7],
         'since', A[8], 'til', I(til), 'reset', A[10], 'rate', A[11], 'cursor', I(first), 'last', I(last), 'due', I(now), 'done', 0,
         'skipped', 0, 'ca', I(now), 'ua', I(now))
    call('ZADD', P .. 'ops', oid, id)
    call('ZADD', P .. 'opdue', now, id)
    piece(load(id))
    return done(R_OK, view(id))
elseif not there then
    return {R_NONE}
elseif verb == 'cancel' then
    local o = load(id)
    if o.state == DONE then
        return {R_STATE, DONE}
    elseif o.state == RUNNING then
        save(o, STOPPED)
    end
    return done(R_OK)
end
return {R_OK, view(id)}
