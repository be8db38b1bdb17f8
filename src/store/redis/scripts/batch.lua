-- batch.lua - batches (store/batches.h). Jobs are texts behind each other, as take.lua is asked for each; an empty one was refused
-- by the caller.
-- ARGV: 'create', id, tenant, name, the same as JSON, sealed, stops after, so many at once, key or '', hash, partial, then of each
-- callback: ticket, its job or '', or else why there can be none, the same as JSON; jobs
-- 'add', id, partial, key or '', hash, most jobs of a batch, jobs
-- 'view', id; 'list', id behind which, how many (at most 50); 'next', id, number: the first job with this or a higher one
-- Reply: {R_OK, '', added, {index, refusal, ...}, ..., {}}: the refused ones; nothing was written when none was added or, without
-- partial, one refused: {R_END, '', 0, {…}, ..., {}}; {R_OK, id, added} of a key that was used; {R_BODY}, {R_STATE}, {R_NONE}, {R_CLOSED} sealed,
-- {R_FULL} too many; views {fields, {jobs by state}, {fields of callbacks}, id}; of 'next' {R_OK, number, job, whose records},
-- {R_END}
-- with ends.lua, take.lua, batches.lua
local verb, id = A[1], A[2]

local function read_jobs(text)
    local all = {}
    for i, packed in ipairs(M.texts_of(text)) do
        all[i] = packed ~= '' and M.texts_of(packed) or false
    end
    return all
end
local function refusal(i, reply)
    local said = {i - 1}
    for _, part in ipairs(reply) do
        said[#said + 1] = part
    end
    return said
end
-- The first that cannot come in; nil: all can.
local function first_refusal(jobs)
    for i, a in ipairs(jobs) do
        if not a then
            return {i - 1}
        end
        a.batch = '' -- it will be of one
        local plan, reply = M.plan(a)
        if not plan then
            return refusal(i, reply)
        end
        M.foresee(a, plan)
    end
    M.forget_ahead()
end
-- Whether any was taken; refused ones are put behind the reply.
local function take_all(b, jobs, reply)
    local rows = M.rows_open(b)
    M.adding_to = b.id
    M.gather()
    for i, a in ipairs(jobs) do
        local said, taken = {}, false
        if a then
            a.batch, a.after = b.id, M.rows_after(rows)
            said, taken = M.take(a)
        end
        if taken then
            M.rows_added(rows, M.job(a[1]))
            reply[3] = reply[3] + 1
        else
            reply[#reply + 1] = refusal(i, said)
        end
    end
    M.adding_to = nil
    M.rows_close(b, rows)
end
local function nobody(reply)
    reply[1], reply[#reply + 1] = R_END, {}
    return reply
end
-- Of a key that was used: the reply.
local function asked_before(was, hash_now)
    local hash_before, of = string.match(was, '^(%x+)|(.*)$')
    return hash_before == hash_now and of or nil
end

local function create()
    local tenant, key, hash_now, partial = A[3], A[9], A[10], A[11] == '1'
    local was = key ~= '' and call('HGET', P .. 'bidem', tenant .. '\n' .. key)
    if was then
        local of = asked_before(was, hash_now)
        return of and {R_OK, of, 0, {}} or {R_BODY}
    elseif M.batch(id) then
        return {R_STATE}
    end
    local jobs, reply = read_jobs(A[20]), {R_OK, '', 0}
    local refused = not partial and first_refusal(jobs)
    if refused then
        return nobody({R_END, '', 0, refused})
    end
    local b = M.batch_new(id)
    b.te, b.na, b.se, b.sa, b.pl, b.ik = tenant, A[4], N(A[6]), N(A[7]), N(A[8]), key
    take_all(b, jobs, reply)
    if #jobs > 0 and reply[3] == 0 then
        return nobody(reply)
    end
    for kind = 0, 1 do
        local at = 12 + 4 * kind
        for i, field in ipairs({'t', 'p', 'b', 'j'}) do
            if A[at + i - 1] ~= '' then
                call('HSET', b.key .. ':c', field .. kind, A[at + i - 1])
            end
        end
    end
    if key ~= '' then
        call('HSET', P .. 'bidem', tenant .. '\n' .. key, hash_now .. '|' .. id)
    end
    M.batch_touch(b)
    M.event(nil, 'batch.created', '{"name":' .. A[5] .. ',"jobs":' .. I(reply[3]) .. ',"sealed":' ..
            (b.se == 1 and 'true' or 'false') .. '}', id)
    M.batch_settle(b) -- earlier results may have answered all jobs
    return done(unpack(reply))
end
local function add(b)
    local partial, key, hash_now = A[3] == '1', A[4], A[5]
    local was = key ~= '' and call('HGET', b.key .. ':a', key)
    if was then
        local added = asked_before(was, hash_now)
        return added and {R_OK, id, N(added), {}} or {R_BODY}
    elseif b.se == 1 then
        return {R_CLOSED}
    end
    local jobs, reply = read_jobs(A[7]), {R_OK, '', 0}
    if M.batch_count(b, BLOCKED, EXPIRED) + #jobs > N(A[6]) then
        return {R_FULL}
    end
    local refused = not partial and first_refusal(jobs)
    if refused then
        return nobody({R_END, '', 0, refused})
    end
    take_all(b, jobs, reply)
    if #jobs > 0 and reply[3] == 0 then
        return nobody(reply)
    end
    if key ~= '' then
        call('HSET', b.key .. ':a', key, hash_now .. '|' .. I(reply[3]))
    end
    M.batch_touch(b)
    return done(unpack(reply))
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

if verb == 'create' then
    return create()
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
