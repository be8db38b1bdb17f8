#!lua flags=allow-oom
-- lanes.lua - lanes and limits as people see them.
-- ARGV: 'list', name after which, how many (at most 64); 'one', name; 'meter', name, of how many minutes; 'bounds', lane, tenant, site; 'limits', scope
-- ('tenants', 'sites' or 'hooks'), name after which, how many, whether that one comes too. Reply: {R_OK, ...}, {R_NONE}
local function view(name)
    local l = M.lane(name)
    local w, til = M.waiting(l)
    local set, notes = M.settings(l), call('HMGET', l.key, 'nby', 'nwhy', 'nat', 'hb', 'hw', 'ha', 'hu')
    local oldest
    for n = 0, 1 do
        local top = l[n] > 0 and call('ZRANGE', l.key .. ':' .. n, 0, 0)[1]
        local at = top and N(call('HGET', P .. 'j:' .. id_of(top), 'ra'))
        oldest = at and (not oldest or at < oldest) and at or oldest
    end
    return {name, call('ZCARD', l.key .. ':b'), call('ZCARD', l.key .. ':s'), ready_of(l), l.active, oldest or 0, l.pa, l.co,
            l.bu, l.bs, l.bf, l.bt, l.tr, l.wf, l.ws, l.wb, l.fo, set.weight, set.active, set.as_set, set.burst, set.depth,
            set.overflow, set.prio, l.ow - 1, l.oa - 1, l.oe - 1, l.ob - 1, l.od - 1, l.oo - 1, l.op - 1, w, til, notes[1] or '', notes[2] or '', N(notes[3]), notes[4] or '', notes[5] or '',
            N(notes[6]), N(notes[7]), l.bn, now, set.pace, N(string.match(l.pc, ' (%d+)$'))}
end
local function tenant(name)
    local t = M.tenant(name)
    return {name, t.ma, t.we > 0 and t.we or 100, 0, 1, M.active_of(t)}
end
local function site(name)
    local s = M.site(name)
    return {name, s.ma, 0, s.em, max(s.bu, 1), M.active_of(s)}
end
-- A webhook; its fields are those of webhook.lua.
local function hook(id)
    local v = call('HMGET', P .. 'wh:' .. id, 'ma', 'em', 'bu')
    return {id, N(v[1]), 0, N(v[2]), max(N(v[3]), 1), call('ZCARD', P .. 'wh:' .. id .. ':s')}
end
local function all()
    return {'', M.active_max(), 0, 0, 1, call('ZCARD', P .. 's:3')}
end
local function names(key, after, most, with)
    return call('ZRANGEBYLEX', P .. key, after == '' and '-' or (with and '[' or '(') .. after, '+', 'LIMIT', 0, most)
end
if A[1] == 'one' then
    return M.lane(A[2]) and {R_OK, view(A[2])} or {R_NONE}
elseif A[1] == 'meter' then
    -- So many of the ten minutes of what M.metered() counted: accepted, started, ended, starts by how long they had waited, since when something started.
    if not M.lane(A[2]) then
        return {R_NONE}
    end
    local flat, reply, newest = call('HGETALL', P .. 'l:' .. A[2] .. ':t'), {R_OK}, floor(now / 60000)
    local sums, first = {a = 0, s = 0, e = 0}, INF
    for b = 0, 14 do
        sums['w' .. b] = 0
    end
    for i = 1, #flat, 2 do
        local sum, slice = string.match(flat[i], '^(w%d+):(%d+)$')
        if not sum then
            sum, slice = string.match(flat[i], '^([ase])(%d+)$')
        end
        if sums[sum or ''] and N(slice) > newest - N(A[3]) and N(slice) <= newest then
            sums[sum] = sums[sum] + N(flat[i + 1])
            first = sum == 's' and min(first, N(slice)) or first
        end
    end
    reply[2], reply[3], reply[4] = sums.a, sums.s, sums.e
    for b = 0, 14 do
        reply[5 + b] = sums['w' .. b]
    end
    reply[20] = sums.s > 0 and first * 60000 or 0
    return reply
elseif A[1] == 'bounds' then
    return {R_OK, M.lane(A[2]) and view(A[2]) or {}, all(), tenant(A[3]), site(A[4])}
end
local reply = {R_OK}
if A[1] == 'list' then
    for _, name in ipairs(names('lanes', A[2], N(A[3]))) do
        reply[#reply + 1] = view(name)
    end
    return reply
end
reply[2] = all()
for _, name in ipairs(names(A[2], A[3], N(A[4]), A[5] == '1')) do
    reply[#reply + 1] = (A[2] == 'tenants' and tenant or A[2] == 'sites' and site or hook)(name)
end
return reply
