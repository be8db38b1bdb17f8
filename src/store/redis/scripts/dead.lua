#!lua flags=allow-oom
-- dead.lua - dead jobs in groups, in the order of class, site, fingerprint.
-- ARGV: group to begin with, 1 behind it, since, until, how many (at most 20)
-- Reply: {R_OK, {failure, site, fingerprint, count, first, kind, {id, target, why, at}, ...}, ...}; count 0: nobody in that time
local MOST, EXAMPLES = 10000, 3
local reply = {R_OK}
local function example(id, at)
    return {id, M.fixed(id)[3] or '', call('HGET', P .. 't:' .. id, 'wh') or '', at}
end
local function group(name)
    local key = P .. 'pr:' .. name
    local failure, site, print = string.match(name, '^(%d+)\n([^\n]*)\n(.*)$')
    local first = call('ZRANGEBYSCORE', key, A[3], A[4], 'WITHSCORES', 'LIMIT', 0, 1)
    local g = {N(failure), site, print, min(call('ZCOUNT', key, A[3], A[4]), MOST), N(first[2]),
               first[1] and M.fixed(first[1])[2] or ''}
    local newest = call('ZREVRANGEBYSCORE', key, A[4], A[3], 'WITHSCORES', 'LIMIT', 0, EXAMPLES)
    for i = 1, #newest, 2 do
        g[#g + 1] = example(newest[i], N(newest[i + 1]))
    end
    return g
end
local from = A[1] == '' and '-' or (A[2] == '1' and '(' or '[') .. A[1]
for _, name in ipairs(call('ZRANGEBYLEX', P .. 'prints', from, '+', 'LIMIT', 0, min(N(A[5]), 20))) do
    reply[#reply + 1] = group(name)
end
return reply
