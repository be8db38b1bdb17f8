#!lua flags=allow-oom
-- batch_act.lua - what becomes of a batch (store/batches.h).
-- ARGV: 'seal', id; 'cancel', id, operation; 'retry', id, operation, rate, reset;
-- 'enter', token or '': some jobs that are to come; 'drop', token: batch_pieces.lua; 'with', job: the token that it comes in with, or ''; 'tend': the callback that is due first; 'refused', id, callback, later, why, the same as JSON; 'retain', before
-- Reply: {R_OK, {fields and values of the operation}}; {R_NONE}, {R_STATE} nothing to do, {R_TAKEN, operation} that runs, {R_BODY}
-- there is such an operation; of 'tend' {R_OK, 0} none, {R_OK, 1, id, callback} or, when it was refused, {R_FIRST, 1, id, callback, {how
-- take.lua says why not}, {its job}}; of 'retain' {R_OK, whether there may be more}; of 'enter' {R_OK, whether there is more, token};
-- {R_COMING, token}: first its jobs have to be in
-- with ends.lua, take.lua, batches.lua, operations.lua, batch_pieces.lua
local OLD, LATER = 50, 5000
local verb, id = A[1], A[2]

local function tend()
    if M.batch_settle_next() then
        return done(R_OK, 1, '', 0)
    end
    local due = call('ZRANGEBYSCORE', P .. 'bcdue', '-inf', now, 'LIMIT', 0, 1)[1]
    if not due then
        return {R_OK, 0}
    end
    call('ZADD', P .. 'bcdue', now + LATER, due) -- also when what follows fails: others are not held up by it
    local kind, of = string.match(due, '^(%d):(.*)$')
    local b = M.batch(of)
    if not b then
        call('ZREM', P .. 'bcdue', due)
        return done(R_OK, 1, of, N(kind))
    end
    local refused = M.call_make(b, N(kind), true)
    if refused then
        return done(R_FIRST, 1, of, N(kind), refused, M.texts_of(call('HGET', b.key .. ':c', 'p' .. kind)))
    end
    return done(R_OK, 1, of, N(kind))
end
local function forget(b)
    b.gone = true
    call('ZADD', P .. 'gone', -now, b.id) -- as what the archive has nothing of (gone.lua): who hands it over anew hears that it was here
    call('UNLINK', b.key, b.key .. ':c', b.key .. ':a', b.key .. ':t', P .. 'e:' .. b.id)
    for st = BLOCKED, EXPIRED do
        call('UNLINK', b.key .. ':' .. st)
    end
    call('ZREM', P .. 'batches', b.id)
    call('ZREM', P .. 'bempty', b.id)
    call('ZREM', P .. 'bcdue', '0:' .. b.id, '1:' .. b.id)
    if b.ik ~= '' then
        call('HDEL', P .. 'bidem', b.te .. '\n' .. b.ik)
    end
end
local function retain()
    local old = call('ZRANGEBYSCORE', P .. 'bempty', '-inf', '(' .. id, 'LIMIT', 0, OLD)
    for _, one in ipairs(old) do
        local b = M.batch(one)
        if b and M.batch_count(b, BLOCKED, EXPIRED) + b.cm == 0 then
            forget(b)
        else
            call('ZREM', P .. 'bempty', one)
        end
    end
    return done(R_OK, #old == OLD and 1 or 0)
end
local function cancel(b)
    local live, half = M.batch_count(b, BLOCKED, ACTIVE), b.st == 1 and M.batch_op_is_missing(b) -- half: a script failed
    if live == 0 and b.se == 1 and not half then
        return {R_STATE}
    elseif M.operation(A[3]) then
        return {R_BODY}
    end
    if not half then
        -- Whatever brings jobs back must not do so behind our back.
        M.batch_stop_operation(b)
        b.se, b.st, b.op = 1, 1, A[3]
        M.says(b, 'batch.cancelled', '{"operation":"' .. A[3] .. '"}')
        M.batch_settle(b)
        M.batch_touch(b)
    end
    local o = M.batch_cancel_begin(b)
    M.operation_piece(o)
    return done(R_OK, M.operation_view(o.id))
end
local function retry(b)
    if call('EXISTS', b.key .. ':' .. DEAD, b.key .. ':' .. EXPIRED) == 0 then
        return {R_STATE}
    elseif b.op ~= '' and M.operation(b.op) then
        return {R_TAKEN, b.op}
    elseif M.operation(A[3]) then
        return {R_BODY}
    end
    local order = I(N(A[4])) .. ' ' .. I(N(A[5])) .. ' ' .. I(meta.seq)
    if b.op == '' or b.st == 1 then
        b.st, b.op, b.ro = 0, A[3], order -- its failures count from new
        M.says(b, 'batch.retried', '{"operation":"' .. A[3] .. '"}')
        M.batch_touch(b)
    elseif b.ro == '' then -- a version that does not know that failed there
        b.ro = order
    end
    local o = M.batch_retry_begin(b)
    M.operation_piece(o)
    return done(R_OK, M.operation_view(o.id))
end
local function seal(b)
    if b.se == 1 then
        return {R_OK}
    end
    b.se = 1
    M.says(b, 'batch.sealed', '{}')
    M.batch_settle(b)
    M.batch_touch(b)
    return done(R_OK)
end

if verb == 'tend' then
    return tend()
elseif verb == 'enter' then
    return M.batch_enter(id)
elseif verb == 'with' then
    return {R_OK, M.batch_with(id) or ''}
elseif verb == 'drop' then
    M.batch_drop(id)
    return {R_OK}
elseif verb == 'retain' then
    return retain()
end
local b = M.batch(id)
if not b then
    return {R_NONE}
end
local coming = verb ~= 'refused' and M.batch_coming(b)
if coming then
    return {R_COMING, coming}
elseif verb == 'refused' then
    M.call_refused(b, N(A[3]), A[4] == '1', {A[5], A[6]})
    return done(R_OK)
elseif verb == 'cancel' then
    return cancel(b)
elseif verb == 'retry' then
    return retry(b)
end
return seal(b)
