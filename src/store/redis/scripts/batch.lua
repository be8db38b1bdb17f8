-- batch.lua - batches (store/batches.h). Jobs are texts behind each other, as take.lua is asked for each; an empty one was refused
-- by the caller.
-- ARGV: 'create', id, tenant, name, the same as JSON, sealed, stops after, so many at once, key or '', hash, partial, then of each
-- callback: ticket, its job or '', or else why there can be none, the same as JSON; jobs, or '' and how many were staged, the token, when a
-- node accepted it (0: now)
-- 'add', id, partial, key or '', hash, most jobs of a batch, how many, jobs, or '', how many were staged, and the token
-- 'stage', token, the batch or '' (a new one), partial, tenant, key or '', hash, number of the first job, jobs, accepted: batch_pieces.lua
-- 'keyed', a batch or '' (of a new one), tenant, key: {R_NONE}: no request with it was taken
-- 'view', id; 'list', id behind which, how many (at most 50); 'next', id, number: the first job with this or a higher one
-- Reply: {R_OK, '', added, {index, refusal, ...}, ..., {}}: the refused ones; nothing was written when none was added or, without
-- partial, one refused: {R_END, '', 0, {…}, ..., {}}; {R_OK, id, added} of a key that was used; {R_BODY}, {R_STATE}, {R_NONE}, {R_CLOSED} sealed,
-- {R_FULL} too many, {R_STALE} what was staged is gone; views {fields, {jobs by state}, {fields of callbacks}, id}; of 'next'
-- {R_OK, number, job, whose records}, {R_END}
-- with ends.lua, take.lua, batches.lua, batch_pieces.lua
local verb, id = A[1], A[2]

-- What a key brought. A script that failed half-way may have left it, and no batch: then it was not used.
local function brought_by(tenant, key)
    local was = call('HGET', P .. 'bidem', tenant .. '\n' .. key)
    return was and M.batch(string.match(was, '|(.*)$')) and was or nil
end
-- The reply of a key that was used.
local function created_before(tenant, key, hash_now)
    local was = key ~= '' and brought_by(tenant, key)
    if was then
        local of = M.batch_asked_before(was, hash_now)
        return of and {R_OK, of, 0, {}} or {R_BODY}
    end
end
local function added_before(b, key, hash_now)
    if key ~= '' then
        M.batch_go_on(b)
    end
    local was = key ~= '' and call('HGET', b.key .. ':a', key)
    if was then
        local added = M.batch_asked_before(was, hash_now)
        return added and {R_OK, b.id, N(added), {}} or {R_BODY}
    elseif b.se + b.sl > 0 then
        return {R_CLOSED}
    end
end

-- accepted: by a node, which may hand over what ended here and is gone (batch_act.lua).
local function is_there(accepted)
    return M.batch(id) or accepted > 0 and call('ZSCORE', P .. 'gone', id)
end
-- come: so many are to come; sealed when all are in.
local function begin(b, come)
    local sealed = N(A[6])
    b.te, b.na, b.sa, b.pl, b.ik, b.cm = A[3], A[4], N(A[7]), N(A[8]), A[9], come
    b.se, b.sl = come == 0 and sealed or 0, come > 0 and sealed or 0
end
-- Before its jobs, which are to come.
local function finish(b, count)
    for kind = 0, 1 do
        local at = 12 + 4 * kind
        for i, field in ipairs({'t', 'p', 'b', 'j'}) do
            if A[at + i - 1] ~= '' then
                call('HSET', b.key .. ':c', field .. kind, A[at + i - 1])
            end
        end
    end
    if b.ik ~= '' then
        call('HSET', P .. 'bidem', b.te .. '\n' .. b.ik, A[10] .. '|' .. id)
    end
    M.says(b, 'batch.created', '{"name":' .. A[5] .. ',"jobs":' .. I(count) .. ',"sealed":' .. (A[6] == '1' and 'true' or 'false') .. '}')
    M.batch_touch(b)
end
local function create()
    local partial, text, accepted = A[11] == '1', A[20], N(A[23])
    local before = created_before(A[3], A[9], A[10])
    if before or is_there(accepted) then
        return before or {R_STATE}
    end
    local b = M.batch_new(id)
    b.ca = accepted > 0 and min(accepted, now) or now
    local function make(count)
        begin(b, count)
        finish(b, count)
        return b
    end
    if text == '' and N(A[21]) > 0 then
        return M.batch_commit(id, N(A[21]), not partial, accepted, make)
    elseif text ~= '' then
        M.batch_undo(id) -- that is left of one of this id whose script failed
        return M.batch_at_once(id, text, not partial, accepted, make)
    end
    begin(b, 0)
    M.batch_settle(b)
    finish(b, 0)
    return done(R_OK, '', 0)
end
local function add(b)
    local partial, key, hash_now, text = A[3] == '1', A[4], A[5], A[8]
    local before = added_before(b, key, hash_now)
    if before then
        return before
    elseif M.batch_count(b, BLOCKED, EXPIRED) + b.cm + N(A[7]) > N(A[6]) then
        return {R_FULL}
    end
    local function note(count)
        b.cm = b.cm + count
        M.batch_note(b, key, hash_now, count)
        return b
    end
    if text == '' and N(A[9]) > 0 then
        return M.batch_commit(A[10], N(A[9]), not partial, 0, note, {key, hash_now})
    elseif text ~= '' then
        return M.batch_at_once(A[10], text, not partial, 0, note, {key, hash_now})
    end
    note(0)
    return done(R_OK, '', 0)
end
local function stage()
    local of, partial, tenant, key, hash_now = A[3], A[4] == '1', A[5], A[6], A[7]
    local b = of ~= '' and M.batch(of)
    if of ~= '' and not b then
        return {R_NONE}
    end
    local before
    if b then
        before = added_before(b, key, hash_now)
    else
        before = created_before(tenant, key, hash_now) or is_there(N(A[10])) and {R_STATE}
    end
    if before then
        return before
    elseif N(A[8]) == 0 then -- an order of this id whose script failed half-way left nothing that is of use
        M.batch_undo(id)
    end
    return M.batch_stage(id, A[9], N(A[8]), not partial)
end

local function view(b)
    local counts = {}
    for st = BLOCKED, EXPIRED do
        counts[st + 1] = call('ZCARD', b.key .. ':' .. st)
    end
    local v = call('HMGET', b.key .. ':c', 'at0', 'job0', 'due0', 'why0', 'at1', 'job1', 'due1', 'why1')
    local calls = {}
    for i = 1, 8 do
        calls[i] = v[i] or ''
    end
    calls[9], calls[10] = call('HEXISTS', b.key .. ':c', 't0'), call('HEXISTS', b.key .. ':c', 't1')
    return {call('HGETALL', b.key), counts, calls, b.id}
end
local function list()
    local reply, from = {R_OK}, '+inf'
    if id ~= '' then
        local b = M.batch(id)
        if not b then
            return {R_NONE}
        end
        from = '(' .. I(b.n)
    end
    for _, one in ipairs(call('ZREVRANGEBYSCORE', P .. 'batches', from, '-inf', 'LIMIT', 0, min(N(A[3]), 50))) do
        local b = M.batch(one)
        if b then
            reply[#reply + 1] = view(b)
        end
    end
    return reply
end
local function next_job(b)
    local first
    for st = BLOCKED, EXPIRED do
        local some = call('ZRANGEBYSCORE', b.key .. ':' .. st, A[3], '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
        if some[1] and (not first or N(some[2]) < first[2]) then
            first = {some[1], N(some[2])}
        end
    end
    if not first then
        return {R_END}
    end
    local j = M.job(first[1])
    return {R_OK, first[2], first[1], j and j.sf ~= '' and j.sf or first[1]}
end

local function keyed()
    local there
    if id == '' then
        there = brought_by(A[3], A[4])
    else
        there = call('HEXISTS', P .. 'b:' .. id .. ':a', A[4]) == 1 or M.batch_comes_by(id, A[4])
    end
    return {there and R_OK or R_NONE}
end

if verb == 'create' then
    return create()
elseif verb == 'keyed' then
    return keyed()
elseif verb == 'stage' then
    return stage()
elseif verb == 'list' then
    return list()
end
local b = M.batch(id)
if not b then
    return {R_NONE}
elseif verb == 'add' then
    return add(b)
elseif verb == 'next' then
    return next_job(b)
end
return {R_OK, view(b)}
