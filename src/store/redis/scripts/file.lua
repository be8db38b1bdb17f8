#!lua flags=allow-oom
-- file.lua - rows of media files; the files lie in a folder that all nodes share.
-- ARGV: 'take', job, nonce, url; 'hold', job, nonce, hash; 'begin', job, nonce, hash, how long a file is in the hands of who removes
-- it; 'put', job, nonce, hash, suffix, type, bytes, url, status; 'view', hash; 'release': of jobs that are gone; 'doom', how many: those
-- that nobody holds; 'stray', that time, hashes: of these those that have no row; 'gone', hashes: they are removed
-- Reply: {R_OK, ...}, {R_STALE}, {R_NONE}, {R_FULL} it is being removed just now; of 'take' {R_OK, bytes of the job, of all, {row}};
-- a row: {hash, suffix, type, bytes, kept at, status, fetched at}, or {}; of 'release', 'doom' {R_OK, whether there is more, files, bytes of
-- all, {hash, suffix}, ...}; of 'stray' {R_OK, hash, ...}
--
-- Keys behind the prefix:
--   f:HASH     a file; :h the jobs that hold it, :u the URLs (site, newline, url) that brought it
--   furl       URL to "hash|status|fetched at"     files   n, bytes of all
--   jf:ID      hashes that a job holds, to their bytes; "" to the bytes of all
--   fjobs      jobs that are gone and may hold some     ffree   files that nobody may hold     fgoing   removed just now, since
-- with ends.lua, take.lua, batches.lua
local JOBS, PIECE = 2, 100
local verb, id = A[1], A[2]

local function row(hash, of_url)
    local v = call('HMGET', P .. 'f:' .. hash, 'sx', 'mi', 'by', 'at')
    if not v[1] then
        return {}
    end
    local status, fetched = string.match(of_url or '', '|(%d+)|(%d+)$')
    return {hash, v[1], v[2], N(v[3]), N(v[4]), N(status), N(fetched)}
end
local function totals()
    local v = call('HMGET', P .. 'files', 'n', 'by')
    return N(v[1]), N(v[2])
end
local function hold(hash, bytes)
    if call('SADD', P .. 'f:' .. hash .. ':h', id) + call('HSETNX', P .. 'jf:' .. id, hash, 0) > 0 then
        call('ZREM', P .. 'ffree', hash)
    end
    local was = N(call('HGET', P .. 'jf:' .. id, hash))
    if bytes > was then
        call('HSET', P .. 'jf:' .. id, hash, I(bytes))
        call('HINCRBY', P .. 'jf:' .. id, '', I(bytes - was))
    end
end
local function let_go(hash, job)
    call('SREM', P .. 'f:' .. hash .. ':h', job)
    if call('EXISTS', P .. 'f:' .. hash .. ':h') == 0 then
        call('ZADD', P .. 'ffree', 0, hash)
    end
end
local function put(site)
    local hash, bytes = A[4], N(A[7])
    if call('EXISTS', P .. 'f:' .. hash) == 0 then
        call('HSET', P .. 'f:' .. hash, 'sx', A[5], 'mi', A[6], 'by', I(bytes), 'at', I(now))
        call('HINCRBY', P .. 'files', 'n', 1)
        call('HINCRBY', P .. 'files', 'by', I(bytes))
    end
    call('SADD', P .. 'f:' .. hash .. ':u', site .. '\n' .. A[8])
    call('HSET', P .. 'furl', site .. '\n' .. A[8], hash .. '|' .. A[9] .. '|' .. I(now))
    hold(hash, bytes)
    return done(R_OK)
end
local function release()
    for _, job in ipairs(call('ZRANGE', P .. 'fjobs', 0, JOBS - 1)) do
        local key = P .. 'jf:' .. job
        local some = call('HSCAN', key, '0', 'COUNT', PIECE)[2]
        for i = 1, #some, 2 do
            if some[i] ~= '' then
                let_go(some[i], job)
            end
            call('HDEL', key, some[i])
        end
        if call('EXISTS', key) == 0 then
            call('ZREM', P .. 'fjobs', job)
        end
    end
    return done(R_OK, call('EXISTS', P .. 'fjobs', P .. 'ffree'))
end
-- Its row goes now; who removes the file says when it is gone.
local function drop(hash)
    local key = P .. 'f:' .. hash
    local v = call('HMGET', key, 'sx', 'by')
    call('ZREM', P .. 'ffree', hash)
    if not v[1] or call('EXISTS', key .. ':h') == 1 then
        return nil
    end
    for _, url in ipairs(call('SMEMBERS', key .. ':u')) do
        if string.match(call('HGET', P .. 'furl', url) or '', '^[^|]*') == hash then
            call('HDEL', P .. 'furl', url)
        end
    end
    call('UNLINK', key, key .. ':u')
    call('HINCRBY', P .. 'files', 'n', -1)
    call('HINCRBY', P .. 'files', 'by', -N(v[2]))
    call('HSET', P .. 'fgoing', hash, I(now))
    return {hash, v[1]}
end
local function doom()
    local dropped = {}
    for _, hash in ipairs(call('ZRANGE', P .. 'ffree', 0, min(N(id), PIECE) - 1)) do
        dropped[#dropped + 1] = drop(hash)
    end
    local n, bytes = totals()
    return done(R_OK, call('EXISTS', P .. 'fjobs', P .. 'ffree'), n, bytes, unpack(dropped))
end
local function stray()
    local reply = {R_OK}
    for i = 3, #A do
        local since = call('HGET', P .. 'fgoing', A[i])
        if call('EXISTS', P .. 'f:' .. A[i], P .. 'f:' .. A[i] .. ':h') == 0 and (not since or now - N(since) > N(id)) then
            call('HSET', P .. 'fgoing', A[i], I(now))
            reply[#reply + 1] = A[i]
        end
    end
    return done(unpack(reply))
end

if verb == 'view' then
    local r = row(id)
    return #r > 0 and {R_OK, r} or {R_NONE}
elseif verb == 'release' then
    return release()
elseif verb == 'doom' then
    return doom()
elseif verb == 'stray' then
    return stray()
elseif verb == 'gone' then
    for i = 2, #A do
        call('HDEL', P .. 'fgoing', A[i])
    end
    return done(R_OK)
end
local j = M.held(id, A[3])
if not j then
    return {R_STALE}
end
local site = M.fixed(id)[1]
if verb == 'take' then
    local known = call('HGET', P .. 'furl', site .. '\n' .. A[4])
    local n, bytes = totals()
    return {R_OK, N(call('HGET', P .. 'jf:' .. id, '')), bytes, known and row(string.match(known, '^[^|]*'), known) or {}}
elseif verb == 'hold' then
    local bytes = call('HGET', P .. 'f:' .. A[4], 'by')
    if not bytes then
        return {R_NONE}
    end
    hold(A[4], N(bytes))
    return done(R_OK)
elseif verb == 'begin' then
    local since = call('HGET', P .. 'fgoing', A[4])
    if since and now - N(since) < N(A[5]) then
        return {R_FULL}
    end
    call('HDEL', P .. 'fgoing', A[4])
    hold(A[4], 0)
    return done(R_OK, call('HGET', P .. 'f:' .. A[4], 'sx') or '')
end
return put(site)
