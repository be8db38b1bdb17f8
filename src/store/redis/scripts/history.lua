#!lua flags=allow-oom
-- history.lua - a node is connected anew: whether this is its store, and has all that it knows of. After a loss leases are
-- given another period, the walk begins anew, and the epoch is a higher one, so that the archive tells leases of the same
-- fence apart. All of it once for each loss, whichever node found it.
-- ARGV: id of the store or '', number and mark of the last event that this node wrote (0: none), which server this is, lines
-- with ids of jobs that this node accepted lately
-- Reply: {R_OK, epoch, events that are lost, {ids of jobs that are lost}}, {R_NONE} another store, or none
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
if is_there() then
    return {R_OK, meta.epoch, 0, {}}
end
local lost, events = {}, max(known - meta.ev, 1)
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
meta.ev = max(meta.ev, known) -- readers have seen these numbers
M.event(nil, 'queue.lost', '{"node":"' .. string.gsub(NODE, '[^%w%._-]', '') .. '","events":' .. I(events) .. ',"jobs":' .. #lost ..
        ',"epoch":' .. I(meta.epoch) .. '}')
return done(R_OK, meta.epoch, events, lost)
