#!lua flags=allow-oom
-- operation.lua - many jobs are touched in bounded pieces; a piece and how far it came are one transition.
-- ARGV: 'start', id, kind, failure (-1: any), site, kind of job, fingerprint, since, until, reset, rate, job ('': all), whether
-- they are jobs of any kind (else dead ones), then how many at most, prio, why, the same as JSON, the filter;
-- 'tend': a piece of the one that is due first; 'cancel', id; 'view', id; 'list', id behind which, how many; 'retain', before
-- Reply: {R_OK, {fields and values}, ...}; of 'tend', 'retain' {R_OK, whether there may be more}; {R_NONE}, {R_STATE, state}
-- with ends.lua, take.lua, batches.lua, find.lua, alter.lua, operations.lua
local PIECE, LATER = 100, 5000
local verb, id = A[1], A[2]
if verb == 'list' then
    local reply, from = {R_OK}, '+inf'
    if id ~= '' then
        local o = M.operation(id)
        if not o then
            return {R_NONE}
        end
        from = '(' .. I(o.oid)
    end
    for _, one in ipairs(call('ZREVRANGEBYSCORE', P .. 'ops', from, '-inf', 'LIMIT', 0, min(N(A[3]), 50))) do
        reply[#reply + 1] = M.operation_view(one)
    end
    return reply
elseif verb == 'tend' then
    local due, at, at_labels
    for _, labels in ipairs({'', '{}'}) do
        local first = call('ZRANGEBYSCORE', M.due_index(labels), '-inf', now, 'WITHSCORES', 'LIMIT', 0, 1)
        if first[1] and (not due or N(first[2]) < at) then
            due, at, at_labels = first[1], N(first[2]), labels
        end
    end
    if due then -- also when what follows fails: others are not held up by it
        call('ZADD', M.due_index(at_labels), now + LATER, due)
    end
    local o = due and M.operation(due)
    if o and o.state == M.RUNNING then
        M.operation_piece(o)
    elseif due then -- a version that does not know that index cancelled it, or let it go
        call('ZREM', M.due_index('{}'), due)
        call('ZREM', M.due_index(''), due)
    end
    return done(R_OK, due and 1 or 0)
elseif verb == 'retain' then
    local old = call('ZRANGEBYSCORE', P .. 'opend', '-inf', '(' .. id, 'LIMIT', 0, PIECE)
    for _, one in ipairs(old) do
        call('UNLINK', P .. 'op:' .. one, P .. 'e:' .. one)
        call('ZREM', P .. 'ops', one)
        call('ZREM', P .. 'opend', one)
    end
    return done(R_OK, #old == PIECE and 1 or 0)
end
local o = M.operation(id)
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
    if o then
        return {R_TAKEN}
    end
    local til = N(A[9])
    local f = {kind = N(A[3]), failure = N(A[4]), site = A[5], jk = A[6], fp = A[7], since = N(A[8]),
               til = til > 0 and til < now and til or now, reset = N(A[10]), rate = N(A[11]), cursor = first, last = last}
    if A[13] == '1' then
        local by = M.filter(18)
        f.many, f.most, f.prio, f.why, f.whyj = 1, N(A[14]), N(A[15]), A[16], A[17]
        f.failure, f.site, f.jk, f.since, f.til = by.failure, by.site, by.kind, by.since, by.til
        f.states, f.class, f.tenant, f.target, f.lane, f.held = by.states, by.class, by.tenant, by.target, by.lane, by.held and 1 or 0
        f.labels, f.lane = by.labels, (by.labels ~= '' and '+' or '') .. f.lane -- asked_lane_filed()
    end
    M.operation_piece(M.operation_begin(id, f))
    return done(R_OK, M.operation_view(id))
elseif not o then
    return {R_NONE}
elseif verb == 'cancel' then
    if o.state == M.DONE then
        return {R_STATE, M.DONE}
    elseif o.state == M.RUNNING then
        M.operation_save(o, M.STOPPED)
    end
    return done(R_OK)
end
return {R_OK, M.operation_view(id)}
