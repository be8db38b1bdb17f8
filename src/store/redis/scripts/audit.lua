#!lua flags=allow-oom
-- audit.lua - one step of a walk through all keys (queue.md §11, Audit): each job is in the indexes that its fields say, each
-- member of an index is of such a job, each lane stands where it belongs. What is not so is put right, and counted.
-- The walk is the store's, not a node's: hash audit, and audit:todo, indexes that are being walked through.
-- Reply: {R_OK, put right in this step, in all, walks done}
-- with ends.lua, take.lua, batches.lua, batch_pieces.lua, schedules.lua
local PIECE, FEW, fixed = 50, 2, 0 -- members in a step; an index counts as so many at least
local RUNNING = 0 -- of an operation
local touched = {}

local function lane_facts(name)
    local v = call('HMGET', P .. 'l:' .. name, 'te', 'si')
    if v[1] then
        return v[1], v[2]
    end
    local tenant, site, class = string.match(name, '^([^/]+)/([^/]+)/([%w]+)')
    if not tenant then
        tenant, site, class = 'default', string.match(name, '^([^/]+)/([%w]+)')
    end
    local classes = {interactive = 0, normal = 1, bulk = 2, quarantine = 3}
    local h = M.hash(tenant, {0, 0})
    local half = {floor(h[1] / 2), floor(h[2] / 2) + (h[1] % 2) * 2147483648}
    M.lane_want(name, {te = tenant, si = site, cl = classes[class] or 1, th = string.format('%08x%08x', half[1], half[2])})
    M.flush() -- it is read again below, with the jobs that it has
    fixed = fixed + 1
    return tenant, site
end
-- What a job has to be in: key to {member, score}; without a score it is a set.
local function wanted(j)
    local l, tenant, site = 'l:' .. j.ln, lane_facts(j.ln)
    local w = {['s:' .. j.st] = {j.id, j.sq}}
    if j.st == READY then
        w[l .. ':' .. j.nd] = {j.member, rank_of(j)}
    elseif j.st == SCHEDULED then
        w['sched'], w[l .. ':s'] = {j.member, j.ra}, {j.id, j.sq}
    elseif j.st == BLOCKED then
        w[l .. ':b'], w['wt:' .. j.wt] = {j.id, j.sq}, {j.id, j.sq}
    elseif j.st == ACTIVE then
        w['act'], w[l .. ':a'], w['te:' .. tenant .. ':a'], w['si:' .. site .. ':a'] = {j.member, j.le}, {j.id}, {j.id}, {j.id}
        w['stop'] = j.sb > 0 and {j.member, j.sb} or nil
    else
        w[j.st == DEAD and 'dead' or 'done'], w[l .. ':e'] = {j.member, j.fa}, {j.id}
        if j.st == SUCCEEDED and j.wk ~= '' then
            w['wa:' .. j.wk] = {j.id, j.fa}
        end
        if j.st == SUCCEEDED and j.uk ~= '' then
            w[string.sub(M.results_of(tenant, j.uk), #P + 1)] = {j.id, j.fa}
        end
    end
    if j.st < ACTIVE and j.ov > 0 then
        w['over'] = {j.member, j.ov}
    end
    if j.ba ~= '' and call('EXISTS', P .. 'b:' .. j.ba) == 1 then
        w['b:' .. j.ba .. ':' .. j.st] = {j.id, j.sq}
    end
    if j.wk ~= '' and (j.st == READY or j.st == SCHEDULED or j.st == ACTIVE) then
        w['wk:' .. j.wk] = {j.id, j.sq}
    end
    return w, tenant
end
local function put(key, member, score)
    if score then
        if N(call('ZSCORE', P .. key, member) or -1) ~= score then
            call('ZADD', P .. key, score, member)
            fixed = fixed + 1
        end
    elseif call('SADD', P .. key, member) == 1 then
        fixed = fixed + 1
    end
end
-- In an index whose score others move; at: nothing when it need not be there.
local function put_missing(key, member, at)
    if at and not call('ZSCORE', P .. key, member) then
        call('ZADD', P .. key, at, member)
        fixed = fixed + 1
    end
end
-- The pointer of its unique key, unless another live job has it.
local function put_pointer(j, tenant)
    if j.uk == '' or j.st > ACTIVE or M.live(tenant, j.uk, j.st == BLOCKED) then
        return
    end
    call('HSET', P .. (j.st == BLOCKED and 'uniqb' or 'uniq'), tenant .. '\n' .. j.uk, j.id)
    fixed = fixed + 1
end
-- Whom it waits for ended in a script that failed before it let go of those that wait: reap.lua goes on with that.
local function check_leader(j)
    local leader = M.job(j.wt)
    if (not leader or leader.st >= SUCCEEDED) and call('ZADD', P .. 'unset', 0, j.wt) == 1 then
        fixed = fixed + 1
    end
end
local function check_job(id)
    local j = M.job(id)
    if not j or j.sq == 0 then
        return
    end
    local w, tenant = wanted(j)
    local ready = 'l:' .. j.ln .. ':' .. j.nd
    if w[ready] and not call('ZSCORE', P .. ready, j.member) and not pcall(M.sound, j, true, true) then
        w[ready] = nil -- it could not start (reserving.lua)
    end
    for key, entry in pairs(w) do
        put(key, entry[1], entry[2])
    end
    put_pointer(j, tenant)
    if j.st == BLOCKED then
        check_leader(j)
    end
    touched[j.ln] = true
end
-- Of a hash of tokens those whose jobs do not come in (any more).
local function drop_tokens(key)
    local tokens = call('HKEYS', key)
    for i, at in ipairs(#tokens > 0 and call('ZMSCORE', P .. 'bcoming', unpack(tokens)) or {}) do
        fixed = fixed + (at and 0 or call('HDEL', key, tokens[i]))
    end
end
local function check_lane(name)
    touched[name] = true
    if call('EXISTS', P .. 'bcoming') == 0 then
        fixed = fixed + call('HDEL', P .. 'l:' .. name, 'cm')
    end
    drop_tokens(P .. 'l:' .. name .. ':c')
    if not call('ZSCORE', P .. 'lanes', name) then
        call('ZADD', P .. 'lanes', 0, name)
        fixed = fixed + 1
    end
end
-- It is found by its name, somebody looks at it when it is time, and its runs end with their jobs.
local function check_schedule(id)
    local c = S.of(id)
    if not c then
        return
    end
    put('sdn:' .. c.te, c.na, 0)
    if call('HGET', P .. 'sdi', c.te .. '\n' .. c.na) ~= id then
        call('HSET', P .. 'sdi', c.te .. '\n' .. c.na, id)
        fixed = fixed + 1
    end
    fixed = fixed + S.end_runs(c)
    if S.is_asleep(c) then
        S.set_wake(c, 0) -- whoever looks says when it is time again
        fixed = fixed + 1
    end
end
-- It is found in the list, and retention finds it when it has no jobs.
local function check_batch(id)
    local b = M.batch(id)
    if b and b.n > 0 then
        put('batches', id, b.n)
        M.batch_note_empty(b)
        for kind, due in ipairs(call('HMGET', b.key .. ':c', 'due0', 'due1')) do
            put_missing('bcdue', kind - 1 .. ':' .. id, due)
        end
        fixed = fixed + (M.batch_check_operation(b) and 1 or 0)
    end
end

-- It says what it owes; it is found in the list, by who goes on with it, and by retention when it has ended.
local function check_operation(id)
    local o = M.operation(id)
    if o and o.oid > 0 then
        put('ops', id, o.oid)
        if o.state == RUNNING then
            put_missing(string.sub(M.due_index(o.labels), #P + 1), id, o.due)
        else
            put_missing('opend', id, o.fa)
        end
    end
end
-- A script failed before it wrote the batch.
local function check_calls(id)
    if call('EXISTS', P .. 'b:' .. id) == 0 then
        fixed = fixed + call('UNLINK', P .. 'b:' .. id .. ':c')
    end
end

-- Members of an index: of whom, and whether that job wants to be in it.
local function check_member(key, member)
    local id = string.match(member, '^%d%d%d%d%d%d%d%d%d%d%d%d:(.+)$') or member
    local j = M.job(id)
    local entry = j and wanted(j)[key]
    local lane = string.match(key, '^l:(.+):%w$')
    touched[lane or ''] = true
    if entry and entry[1] == member then
        return
    end
    if call('TYPE', P .. key).ok == 'set' then
        call('SREM', P .. key, member)
    else
        call('ZREM', P .. key, member)
    end
    fixed = fixed + 1
end
local function check_pointer(key, field, id)
    if key == 'bidem' then
        fixed = fixed + (call('EXISTS', P .. 'b:' .. string.match(id, '|(.*)$')) == 0 and call('HDEL', P .. key, field) or 0)
        return
    end
    local j = M.job(id)
    local tenant, unique = string.match(field, '^([^\n]*)\n(.*)$')
    if j and j.uk == unique and j.st <= ACTIVE and (j.st == BLOCKED) == (key == 'uniqb') and lane_facts(j.ln) == tenant then
        return
    end
    call('HDEL', P .. key, field)
    fixed = fixed + 1
end
-- Foreign data under the keys of one of them keeps nobody from putting the others right. Returns where to go on, and how many it looked at.
local function walk_index(key, cursor)
    local kind = call('TYPE', P .. key).ok
    local scan = ({zset = 'ZSCAN', set = 'SSCAN', hash = 'HSCAN'})[kind]
    if not scan then
        return '0', 0
    end
    local page = call(scan, P .. key, cursor, 'COUNT', PIECE)
    for i = 1, #page[2], kind == 'set' and 1 or 2 do
        if kind == 'hash' then
            pcall(check_pointer, key, page[2][i], page[2][i + 1])
        else
            pcall(check_member, key, page[2][i])
        end
    end
    return page[1], #page[2]
end
local STATIC = {'sched', 'act', 'stop', 'over', 'done', 'dead', 'uniq', 'uniqb', 'bidem', 's:0', 's:1', 's:2', 's:3', 's:4', 's:5', 's:6',
                's:7'}
local function walk_keys(cursor)
    local page = call('SCAN', cursor, 'MATCH', P .. '*', 'COUNT', PIECE)
    for _, full in ipairs(page[2]) do
        local key = string.sub(full, #P + 1)
        if string.sub(key, 1, 2) == 'j:' then
            pcall(check_job, string.sub(key, 3))
        elseif string.match(key, '^l:[^:]+$') then
            pcall(check_lane, string.sub(key, 3))
        elseif string.match(key, '^sd:[^:]+$') then
            pcall(check_schedule, string.sub(key, 4))
        elseif string.match(key, '^b:[^:]+$') then
            pcall(check_batch, string.sub(key, 3))
        elseif string.match(key, '^b:[^:]+:c$') then
            pcall(check_calls, string.sub(key, 3, -3))
        elseif string.match(key, '^op:[^:]+$') then
            pcall(check_operation, string.sub(key, 4))
        elseif string.match(key, '^l:[^:]+:[01sbae]$') or string.match(key, '^te:[^:]+:a$') or string.match(key, '^si:[^:]+:a$') or
            string.match(key, '^w[tka]:') or string.match(key, '^ua:') or string.match(key, '^b:[^:]+:[0-7]$') then
            call('RPUSH', P .. 'audit:todo', key)
        end
    end
    return page[1]
end
-- Of a batch whose node died before all of its jobs were there: nothing of it was accepted.
local STAGING = 60000 -- longer than a node waits for Redis
local function drop_staged()
    for _, token in ipairs(call('ZRANGEBYSCORE', P .. 'bstage', '-inf', '(' .. now - STAGING, 'LIMIT', 0, PIECE)) do
        M.batch_drop(token)
        fixed = fixed + 1
    end
    if call('EXISTS', P .. 'bcoming') == 0 then -- a script that failed half-way has left what says so
        fixed = fixed + call('DEL', P .. 'bkeys')
        meta.cm = 0
    end
    drop_tokens(P .. 'bwait')
end
drop_staged()
local v = call('HMGET', P .. 'audit', 'keys', 'index', 'walks')
local todo, walks = call('LINDEX', P .. 'audit:todo', 0), N(v[3])
if todo then
    -- Most have a member or two: some at once.
    local cursor, left = v[2] or '0', PIECE
    while todo and left > 0 do
        local looked
        cursor, looked = walk_index(todo, cursor)
        left = left - max(looked, FEW)
        if cursor ~= '0' then
            break
        end
        call('LPOP', P .. 'audit:todo')
        todo = call('LINDEX', P .. 'audit:todo', 0)
    end
    call('HSET', P .. 'audit', 'index', cursor)
    walks = not todo and (v[1] or '0') == '0' and walks + 1 or walks
else
    local cursor = walk_keys(v[1] or '0')
    call('HSET', P .. 'audit', 'keys', cursor)
    if cursor == '0' then
        call('RPUSH', P .. 'audit:todo', unpack(STATIC))
    end
end
-- Lanes are read behind what was put right, and stand where that says.
local function place_lane(l)
    local ready = l[0] + l[1] > 0
    for _, key in ipairs({l.tenant.key .. ':n', l.site.key .. ':n'}) do
        fixed = fixed + call(ready and 'SADD' or 'SREM', key, l.name)
    end
    l.sg, l.touched = '', true
end
lanes, tenants, sites = {}, {}, {}
for name in pairs(touched) do
    local l = name ~= '' and M.lane_if_sound(name)
    if l then
        place_lane(l)
    end
end
call('HSET', P .. 'audit', 'walks', walks)
if walks > N(v[3]) then
    call('DEL', P .. 'retain') -- whatever it went past is looked at again
end
local all = call('HINCRBY', P .. 'audit', 'fixed', fixed)
M.flush()
return {R_OK, fixed, all, walks}
