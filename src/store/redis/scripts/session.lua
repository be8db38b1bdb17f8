#!lua flags=allow-oom
-- session.lua - login sessions. ARGV: 'add', id, site, pool, name, distance, burst, jobs at once; 'find', id or name;
-- 'cookies', id, version before, sealed, count, expires, print; 'lock', id, locked, reason; 'remove', id;
-- 'hand', id, act (0 open, 1 close, 2 reset), for how long, by, why, event, its body;
-- 'view', id; 'list', behind which, how many (at most 50); 'open', job, nonce
-- Reply: {R_OK, ...}, {R_NONE}, {R_STATE} the name is taken, in use, {R_FULL}, {R_TAKEN} two of that name, {R_STALE}; of 'hand' also
-- {R_STATE, has cookies, is refused, has ended}
-- with ends.lua
local verb, id, POOL, HOUR = A[1], A[2], 256, 3600000
local function place(s)
    return s.site .. '\n' .. s.pool .. '\n' .. s.name .. '\n' .. s.id
end
local function view(s)
    local fields, rests, leases, requests = call('HGETALL', P .. 'ses:' .. s.id), {}, 0, 0
    local all = call('HGETALL', P .. 'sr:' .. s.id)
    for i = 1, #all, 2 do
        if N(all[i + 1]) > now then
            rests[#rests + 1] = {all[i], N(all[i + 1])}
        end
    end
    table.sort(rests, function(a, b) return a[1] < b[1] end)
    all = call('HGETALL', P .. 'so:' .. s.id)
    for i = 1, #all, 2 do
        local kind, hour = string.match(all[i], '^(r?)(%d+)$')
        if N(hour) > floor(now / HOUR) - 24 then
            leases = leases + (kind == '' and N(all[i + 1]) or 0)
            requests = requests + (kind == 'r' and N(all[i + 1]) or 0)
        end
    end
    return {s.id, fields, rests, call('SCARD', P .. 'su:' .. s.id), leases, start_at(s.tat, s.emit, s.burst), place(s), requests}
end
if verb == 'add' then
    local s = {id = id, site = A[3], pool = A[4], name = A[5]}
    if call('HEXISTS', P .. 'snames', s.site .. '\n' .. s.name) == 1 then
        return {R_STATE}
    elseif call('ZCARD', P .. 'pool:' .. s.site .. ':' .. s.pool) >= POOL then
        return {R_FULL}
    end
    call('HSET', P .. 'ses:' .. id, 'site', s.site, 'pool', s.pool, 'name', s.name, 'emit', A[6], 'burst', A[7], 'most', A[8],
         'created', I(now), 'updated', I(now), 'revision', 1)
    call('HSET', P .. 'snames', s.site .. '\n' .. s.name, id)
    call('SADD', P .. 'sname:' .. s.name, id)
    call('ZADD', P .. 'pool:' .. s.site .. ':' .. s.pool, 0, s.name .. ':' .. id)
    call('ZADD', P .. 'sessions', 0, place(s))
    return done(R_OK)
elseif verb == 'list' then
    local reply = {R_OK}
    local from = id == '' and '-' or '(' .. id
    for _, member in ipairs(call('ZRANGEBYLEX', P .. 'sessions', from, '+', 'LIMIT', 0, min(N(A[3]), 50))) do
        reply[#reply + 1] = view(M.session(string.match(member, '([^\n]*)$')))
    end
    return reply
elseif verb == 'open' then
    local j = M.held(id, A[3])
    if not j then
        return {R_STALE}
    end
    local s, sealed = j.se ~= '' and M.session(j.se), call('GET', P .. 'sc:' .. j.se)
    return s and sealed and {R_OK, s.id, s.version, sealed} or {R_NONE}
elseif verb == 'find' then
    local named = call('SMEMBERS', P .. 'sname:' .. id) -- one for each site
    if #named > 1 then
        return {R_TAKEN}
    end
    local s = M.session(id) or named[1] and M.session(named[1])
    return s and {R_OK, s.id, s.version, view(s)} or {R_NONE}
end
local s = M.session(id)
if not s then
    return {R_NONE}
elseif verb == 'cookies' then
    if s.version ~= N(A[3]) then
        return {R_STALE}
    end
    call('SET', P .. 'sc:' .. id, A[4])
    call('HSET', P .. 'ses:' .. id, 'count', A[5], 'print', A[7])
    call('HDEL', P .. 'ses:' .. id, 'refusal')
    call('DEL', P .. 'sr:' .. id) -- limits and refusals were those of the login before
    s.version, s.expires, s.refused, s.fails, s.updated = s.version + 1, N(A[6]), 0, 0, now
    M.session_write(s)
elseif verb == 'lock' then
    s.locked, s.updated = A[3] == '1' and (s.locked > 0 and s.locked or now) or 0, now
    call('HSET', P .. 'ses:' .. id, 'reason', A[4])
    M.session_write(s)
elseif verb == 'hand' then
    local act, key, ended = A[3], P .. 'ses:' .. id, s.expires > 0 and s.expires <= now
    if act == '0' then
        s.hu, s.ha, s.updated = now + N(A[4]), now, now
        call('HSET', key, 'hb', A[5], 'hw', A[6])
    elseif s.version == 0 or s.refused > 0 or ended then
        return {R_STATE, s.version > 0 and 1 or 0, s.refused > 0 and 1 or 0, ended and 1 or 0}
    else
        local rests = false
        for _, til in ipairs(call('HVALS', P .. 'sr:' .. id)) do
            rests = rests or N(til) > now
        end
        if s.hu <= now and s.locked == 0 and not rests and (act ~= '2' or s.fails == 0) then
            return {R_OK} -- it is so already
        end
        s.hu, s.ha, s.locked, s.fails, s.updated = 0, 0, 0, act == '2' and 0 or s.fails, now
        call('HDEL', key, 'hb', 'hw', 'reason')
        call('DEL', P .. 'sr:' .. id)
    end
    M.session_write(s)
    M.event(nil, A[7], A[8])
elseif call('EXISTS', P .. 'su:' .. id) == 1 then
    return {R_STATE}
else
    call('UNLINK', P .. 'ses:' .. id, P .. 'sr:' .. id, P .. 'so:' .. id, P .. 'sc:' .. id)
    call('HDEL', P .. 'snames', s.site .. '\n' .. s.name)
    call('SREM', P .. 'sname:' .. s.name, id)
    call('ZREM', P .. 'pool:' .. s.site .. ':' .. s.pool, s.name .. ':' .. id)
    call('ZREM', P .. 'sessions', place(s))
end
M.session_changed(s)
return done(R_OK)
