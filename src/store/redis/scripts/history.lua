#!lua flags=allow-oom
-- history.lua - a node is connected anew: whether this is its store, and has all that it knows of. After a loss leases are
-- given another period, the walk begins anew, and the epoch is a higher one, so that the archive tells leases of the same
-- fence apart; where events are among what is lost nothing starts for a lease's time, and rates begin with nothing saved. All of
-- it once for each loss, whichever node found it.
-- ARGV: id of the store or '', number and mark of the last event that this node wrote (0: none), which server this is, lines
-- with ids of jobs that this node accepted lately, number of the last call of this node that changed something ('': none)
-- Reply: {R_OK, epoch, 1 something is lost, events at least, {ids of jobs that are lost}}, {R_NONE} another store, or none;
-- {R_TAKEN, key, what it holds, what it should}: somebody else's data is in what all jobs use
-- A script that meets that would fail half-way, and Redis takes nothing back.
local kinds = {
    zset = 's:0 s:1 s:2 s:3 s:4 s:5 s:6 s:7 lanes tenants sites idle rated tz0 tz1 waits sched act stop over done dead gone unset prints ' ..
        'ops opdue oplabel opend batches bcdue bsettle bempty bstage bcoming sessions hooks fjobs ffree sdw0 sdw1 nodes marks wake',
    hash = 'meta retain uniq uniqb asked last leased words bidem bkeys bwait snames sdi dids files furl fgoing audit',
    stream = 'ev', list = 'audit:todo', string = 'move room'
}
for kind, keys in pairs(kinds) do
    for key in string.gmatch(keys, '%S+') do
        local is = call('TYPE', P .. key).ok
        if is ~= kind and is ~= 'none' then
            return {R_TAKEN, P .. key, is, kind}
        end
    end
end
local known, mark, server = N(A[2]), A[3], A[4]
if A[1] ~= '' and meta.id ~= A[1] then
    return {R_NONE}
end
-- An event that is older than the log is as good as there: others wrote as many since.
local function is_there()
    local first = call('XRANGE', P .. 'ev', '-', '+', 'COUNT', 1)[1]
    if known > meta.ev then
        return false
    elseif known == 0 or not first or known < N(string.match(first[1], '^%d+')) then
        return true
    end
    local at = I(known) .. '-0'
    local entry = call('XRANGE', P .. 'ev', at, at)[1]
    return entry and entry[2][2] .. ' ' .. entry[2][4] == mark
end
-- What has no event is remembered by its answer. That of another process with this name says nothing.
local function is_answered()
    local run, n = string.match(A[6], '^(%x+)%.(%d+)$')
    local last = run and call('HGET', P .. 'last', NODE)
    local last_run, last_n = string.match(last or '', '^(%x+)%.(%d+)|')
    return not run or (last_run and (last_run ~= run or N(last_n) >= N(n)))
end
local there = is_there()
if there and is_answered() then
    return {R_OK, meta.epoch, 0, 0, {}}
end
local lost, events = {}, there and 0 or max(known - meta.ev, 1)
for id in string.gmatch(A[5], '[^\n]+') do
    if call('EXISTS', P .. 'j:' .. id) == 0 and not call('ZSCORE', P .. 'gone', id) then
        lost[#lost + 1] = id
    end
end
if meta.lost ~= server then
    meta.epoch, meta.lost, meta.reaped = meta.epoch + 1, server, 0
    call('DEL', P .. 'audit:todo')
    call('HDEL', P .. 'audit', 'keys', 'index')
end
if meta.lf ~= server then -- also of a loss that a node of an earlier version found first
    meta.le, meta.lf = meta.epoch, server
end
if events > 0 and meta.ll < meta.le then
    meta.ll, meta.la = meta.le, now
end
meta.ev = max(meta.ev, known) -- readers have seen these numbers
M.event(nil, 'queue.lost', '{"node":"' .. string.gsub(NODE, '[^%w%._-]', '') .. '","events":' .. I(events) .. ',"jobs":' .. #lost ..
        ',"epoch":' .. I(meta.epoch) .. '}')
return done(R_OK, meta.epoch, 1, events, lost)
