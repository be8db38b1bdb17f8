-- batch_pieces.lua - jobs come into a batch: as many as one script may take at once, or more in pieces: part of the scripts of batches,
-- behind batches.lua.
--
-- In pieces nothing of it counts until all are there and may come in:
--   stage   some jobs are looked at and kept beside the queue, as texts; refused ones are said
--   commit  what others may have changed since is looked at for all of them at once, in few commands; from here on they are accepted
--   enter   some of them become jobs, in their order, whatever modes and limits say by now. Who died before does not matter:
--           every node goes on with those that are due (bcoming), but one of a version that knows no pieces
-- So many as one script may take take the same way in one: nothing takes back what a script wrote that fails half-way, and who asks
-- again is told that they were accepted. What was staged and not committed goes with the walk (audit.lua). TOKEN is the batch, or of
-- an addition "BATCH:anything".
--
--   bg:TOKEN        '1' or '0', whether it counts as one that waits, and the job as text, in their order
-- What a node accepted while this store was away (accepted) comes in the same ways. Modes and limits refuse nothing of it; a job that its
-- unique key keeps out comes in as one that has ended (take.lua), which is decided when it comes in.
--
--   bg:TOKEN:k      of each piece, packed: {index, id, lane, whether it counts, tenant and unique key or '', on conflict, accepted} of each job
--   bg:TOKEN:x      at: since when they are accepted; node: by one, while this store was away; the ids that commit refused; "bad ID" of
--                   each that met foreign data under its own keys, and stays: whether only such ones are left; count, key, hash of an
--                   addition that its batch does not know yet
--   bstage          tokens that are being staged, by the last piece         bcoming  those whose jobs come in, by when somebody goes on
--   bkeys           tenant and unique key of jobs that are to come, to their id
--   bwait l:LANE:c  tokens, to how many of their jobs are to come and count as waiting, in all and in a lane that has a depth: who asks
--                   for room there counts those whose jobs come in (ends.lua). A version before that counted them in cm of meta and lanes
-- late
local GO_ON = 2000 -- who has committed is about to do it

-- Of a text; false: refused by the caller.
function M.batch_jobs(text)
    local jobs, packed = {}, M.texts_of(text)
    for i, one in ipairs(packed) do
        jobs[i] = one ~= '' and M.texts_of(one) or false
    end
    return jobs, packed
end
-- index: from 1; reply: as take.lua says why not
function M.batch_refusal(index, reply)
    local said = {index - 1}
    for _, part in ipairs(reply) do
        said[#said + 1] = part
    end
    return said
end
function M.batch_nobody(reply)
    reply[1], reply[#reply + 1] = R_END, {}
    return reply
end
-- Of a key that was used: what it brought; nil: another request.
function M.batch_asked_before(was, hash_now)
    local hash_before, brought = string.match(was, '^(%x+)|(.*)$')
    return hash_before == hash_now and brought or nil
end
-- Each that may come in goes to one(index, job, plan), which those behind it are looked at with. With `whole` the first that may not
-- ends it, and is the result.
function M.batch_look(jobs, before, whole, one, refused)
    for i, a in ipairs(jobs) do
        local plan, reply
        if a then
            a.batch = '' -- it will be of one
            plan, reply = M.plan(a)
        end
        if plan then
            M.foresee(a, plan)
            one(i, a, plan)
        else
            refused[#refused + 1] = M.batch_refusal(before + i, reply or {})
            if whole then
                break
            end
        end
    end
    M.forget_ahead()
end

-- What is staged of a job that may come in so, and counts as one that waits or not.
local function staged_text(packed, plan)
    local counts = (plan.answer or plan.ends) and 0 or 1
    return counts .. packed, counts
end
function M.batch_stage(token, text, before, whole)
    local jobs, packed = M.batch_jobs(text)
    local reply, staged, known = {R_OK, '', 0}, {}, {}
    local said = #reply
    M.batch_look(jobs, before, whole, function(i, a, plan)
        local text_staged, counts = staged_text(packed[i], plan)
        staged[#staged + 1] = text_staged
        known[#known + 1] = {before + i, a[1], a[6], counts, a[21] ~= '' and not plan.ends and a[2] .. '\n' .. a[21] or '', N(a[22]),
                             plan.accepted and 1 or 0}
    end, reply)
    if whole and #reply > said then
        return M.batch_nobody(reply)
    elseif #staged > 0 then
        call('ZADD', P .. 'bstage', now, token)
        call('RPUSH', P .. 'bg:' .. token, unpack(staged))
        call('RPUSH', P .. 'bg:' .. token .. ':k', cmsgpack.pack(known))
    end
    reply[3] = #staged
    return done(unpack(reply))
end
-- Who fails half-way leaves a token without texts, which is met again; texts without a token nobody would find.
local function unlink_texts(token)
    local key = P .. 'bg:' .. token
    call('UNLINK', key, key .. ':k', key .. ':x')
end
-- Of an order that does not become a batch.
function M.batch_drop(token)
    if not call('ZSCORE', P .. 'bcoming', token) then
        unlink_texts(token)
    end
    call('ZREM', P .. 'bstage', token)
end

-- ---- those that are to come ----

-- Jobs of these tokens that are not in.
local function left_of(tokens)
    local n = 0
    for _, token in ipairs(tokens) do
        local key = P .. 'bg:' .. token
        for _, text in ipairs(call('LRANGE', key, 0, -1)) do
            n = n + 1 - call('HEXISTS', key .. ':x', M.texts_of(string.sub(text, 2))[1])
        end
    end
    return n
end
-- Tokens of the batch whose jobs come in.
local function coming_to(b)
    local tokens = {}
    for _, token in ipairs(call('ZRANGE', P .. 'bcoming', 0, -1)) do
        tokens[#tokens + 1] = string.match(token, '^[^:]+') == b.id and token or nil
    end
    return tokens
end
-- An addition is accepted, or is in.
function M.batch_note(b, key, hash_now, count)
    if key ~= '' then
        call('HSET', b.key .. ':a', key, hash_now .. '|' .. I(count))
    end
    M.batch_touch(b)
end
-- What an addition had still to do when its commit failed half-way (S86): it is accepted, and whoever asked for it heard of an error.
local function go_on(b, token)
    local x = P .. 'bg:' .. token .. ':x'
    local v = call('HMGET', x, 'count', 'key', 'hash')
    if v[1] then
        b.cm = left_of(coming_to(b))
        M.batch_note(b, v[2], v[3], N(v[1]))
        call('HDEL', x, 'count', 'key', 'hash')
    end
end
function M.batch_go_on(b)
    for _, token in ipairs(coming_to(b)) do
        go_on(b, token)
    end
end

-- ---- commit: what stage saw may have changed ----

-- Which of these ids are jobs, or were. accepted: as of M.is_absent().
local function there_of(ids, accepted)
    local there, keys = {}, {}
    for i, id in ipairs(ids) do
        keys[i] = P .. 'j:' .. id
    end
    if call('EXISTS', unpack(keys)) > 0 then -- somebody chose ids that others have
        for i, id in ipairs(ids) do
            there[id] = call('EXISTS', keys[i]) == 1
        end
    end
    for i, at in ipairs(call('ZMSCORE', P .. 'gone', unpack(ids))) do
        there[ids[i]] = there[ids[i]] or at and (accepted or N(at) > 0) -- else the archive has nothing of it any more: the id is free
    end
    return there
end
-- Jobs with these keys, by key: those that live, and those that come behind them.
local function live_of(keys)
    local live, behind = {}, {}
    for index, states in pairs({uniqb = {BLOCKED, BLOCKED}, uniq = {SCHEDULED, ACTIVE}}) do
        local ids, of = {}, {}
        for i, id in ipairs(#keys > 0 and call('HMGET', P .. index, unpack(keys)) or {}) do
            if id then
                ids[#ids + 1], of[#of + 1] = id, keys[i]
            end
        end
        for st = states[1], #ids > 0 and states[2] or -1 do
            for i, sq in ipairs(call('ZMSCORE', P .. 's:' .. st, unpack(ids))) do
                if sq then
                    (st == BLOCKED and behind or live)[of[i]] = {id = ids[i], st = st}
                end
            end
        end
    end
    return live, behind
end
local function lane_of(one)
    if not one.ln then
        local ln = redis.pcall('HGET', P .. 'j:' .. one.id, 'ln')
        one.ln = type(ln) == 'string' and ln or ''
    end
    return one.ln
end
-- Those that have a job that is about to come in.
local function coming_of(keys)
    local coming = {}
    for i, id in ipairs(#keys > 0 and call('HMGET', P .. 'bkeys', unpack(keys)) or {}) do
        coming[keys[i]] = id and true or nil
    end
    return coming
end
-- Of each lane whether it is closed, and its depth and what room that leaves; there: whether it is. And whether one has a depth.
local function lanes_of(known)
    local facts, names, deep = {}, {}, false
    for _, k in ipairs(known) do
        if not facts[k[3]] then
            facts[k[3]], names[#names + 1] = {come = 0}, k[3]
        end
    end
    for i, at in ipairs(call('ZMSCORE', P .. 'lanes', unpack(names))) do
        local lane = facts[names[i]]
        local v = at and call('HMGET', P .. 'l:' .. names[i], 'co', 'od') or {}
        local l = N(v[2]) > 1 and M.lane(names[i])
        lane.there, lane.closed = at, N(v[1]) == 1
        lane.l, lane.depth = l, l and M.settings(l).depth
        lane.room = l and lane.depth - M.waiting_in(l) - M.coming_in(l)
        deep = deep or l ~= false
    end
    return facts, deep
end
-- As take.lua says why this one may not come in; or nil, and those that make way for it.
local function refused_now(k, at)
    local live, behind, lane, gone = at.live[k[5]], at.behind[k[5]], at.lanes[k[3]], {}
    if k[7] == 1 then
        return at.there[k[2]] and {R_STATE} or nil, gone
    elseif meta.mode == DRAINING or meta.mode == MAINTENANCE then
        return {R_MODE, meta.mode}
    elseif lane.closed then
        return {R_CLOSED}
    elseif at.there[k[2]] then
        return {R_STATE}
    elseif at.coming[k[5]] then
        return {R_COMING}
    elseif not live then
        live, behind = behind, nil
    end
    local mode, runs = k[6], live and live.st == ACTIVE -- core/unique.c
    if live and mode == 1 then
        return {R_TAKEN, live.id, live.st}
    elseif live and (mode == 0 or (mode == 2 and runs) or (mode == 3 and not runs)) then
        return {R_OK, live.id, 0, 1, live.st, 0}
    elseif live and mode == 2 then
        gone = {live, behind}
    elseif live then
        gone = {behind}
    end
    local same = 0
    for _, one in ipairs(k[4] == 1 and lane.l and gone or {}) do
        same = same + (lane_of(one) == k[3] and 1 or 0)
    end
    if k[4] == 1 and M.is_full(at.come) then
        return {R_FULL}
    elseif k[4] == 1 and lane.l and lane.come - same >= lane.room then
        return {R_FULL, lane.depth, k[3]}
    elseif not lane.there and at.lanes_there >= LANES_MAX then
        return {R_LANES}
    end
    return nil, gone
end
-- Those behind it are looked at as if it were there.
local function note_accepted(k, at, gone)
    local lane, live = at.lanes[k[3]], at.live[k[5]]
    at.there[k[2]] = true
    if not lane.there then
        lane.there, at.lanes_there = true, at.lanes_there + 1
    end
    for _, one in ipairs(gone) do
        local of = at.deep and at.lanes[lane_of(one)]
        at.come = at.come - 1
        if of then
            of.come = of.come - 1
        end
    end
    if k[4] == 1 then
        at.come, lane.come = at.come + 1, lane.come + 1
        if k[5] ~= '' and live and live.st == ACTIVE then
            at.behind[k[5]] = {id = k[2], st = BLOCKED, ln = k[3]}
        elseif k[5] ~= '' then
            at.live[k[5]], at.behind[k[5]] = {id = k[2], st = READY, ln = k[3]}, nil
        end
    end
end
local function known_of(token)
    local known = {}
    for _, packed in ipairs(call('LRANGE', P .. 'bg:' .. token .. ':k', 0, -1)) do
        for _, k in ipairs(cmsgpack.unpack(packed)) do
            known[#known + 1] = k
        end
    end
    return known
end
-- Of what was staged those that may come in, and what they were looked at with. Refused ones go behind the reply.
local function decide(known, whole, accepted_by_node, reply)
    local keys, ids, accepted = {}, {}, {}
    for i, k in ipairs(known) do
        ids[i] = k[2]
        keys[#keys + 1] = k[5] ~= '' and k[5] or nil
    end
    local live, behind = live_of(keys)
    local at = {there = there_of(ids, accepted_by_node), live = live, behind = behind, coming = coming_of(keys), come = 0,
                lanes_there = call('ZCARD', P .. 'lanes')}
    at.lanes, at.deep = lanes_of(known)
    for _, k in ipairs(known) do
        local why, gone = refused_now(k, at)
        if not why then
            note_accepted(k, at, gone)
            accepted[#accepted + 1] = k
        else
            reply[#reply + 1] = M.batch_refusal(k[1], why)
            if whole then
                break
            end
        end
    end
    return accepted, at
end
-- Jobs of these lanes are to come: who asks for room there counts them as soon as the token is among those whose jobs come in.
-- deep(name): the lane, when it has a depth.
local function keep_room(token, accepted, deep)
    local n, of = 0, {}
    for _, k in ipairs(accepted) do
        if k[4] == 1 then
            n, of[k[3]] = n + 1, (of[k[3]] or 0) + 1
        end
    end
    call('HSET', P .. 'bwait', token, I(n))
    for name, count in pairs(of) do
        local l = deep(name)
        if l then
            call('HSET', l.key .. ':c', token, I(count))
        end
    end
end
-- So many fewer are to come, of each lane too.
local function give_room(token, n, of)
    if n > 0 then
        call('HINCRBY', P .. 'bwait', token, -n)
    end
    for name, count in pairs(of) do
        local l = M.deep_lane(name)
        if l and call('HINCRBY', l.key .. ':c', token, -count) <= 0 then
            call('HDEL', l.key .. ':c', token)
        end
    end
end
-- Since when they are accepted; by_node: 0, or when a node accepted them while this store was away.
local function note_since(token, by_node)
    local x = P .. 'bg:' .. token .. ':x'
    call('HSET', x, 'at', I(by_node > 0 and min(by_node, now) or now))
    if by_node > 0 then
        call('HSET', x, 'node', 1)
    end
end
-- One of these keys that a job has which is to come stays with that one.
local function note_keys(keys, by_node)
    if by_node == 0 and #keys > 0 then
        call('HSET', P .. 'bkeys', unpack(keys))
    end
    for i = 1, by_node > 0 and #keys or 0, 2 do
        call('HSETNX', P .. 'bkeys', keys[i], keys[i + 1])
    end
end
-- staged: how many there have to be. begin(count): makes the batch, or adds to it, when there are some. asked: key and hash of an
-- addition, kept until begin() has written them. by_node: as of note_since().
function M.batch_commit(token, staged, whole, by_node, begin, asked)
    local key, known, reply = P .. 'bg:' .. token, known_of(token), {R_OK, '', 0}
    if #known ~= staged or call('LLEN', key) ~= staged or staged == 0 then
        return {R_STALE}
    end
    local accepted, at = decide(known, whole, by_node > 0, reply)
    if #accepted == 0 or (whole and #accepted < staged) then
        return M.batch_nobody(reply)
    end
    local keys, is_in, out = {}, {}, {}
    for _, k in ipairs(accepted) do
        is_in[k[2]] = true
        if k[5] ~= '' then
            keys[#keys + 1] = k[5]
            keys[#keys + 1] = k[2]
        end
    end
    for _, k in ipairs(known) do
        if not is_in[k[2]] then
            out[#out + 1] = k[2]
            out[#out + 1] = 1
        end
    end
    note_since(token, by_node)
    if #out > 0 then
        call('HSET', key .. ':x', unpack(out))
    end
    if asked then
        call('HSET', key .. ':x', 'count', I(#accepted), 'key', asked[1], 'hash', asked[2])
    end
    keep_room(token, accepted, function(name) return at.lanes[name].l end)
    call('ZADD', P .. 'bcoming', now + GO_ON, token)
    note_keys(keys, by_node)
    begin(#accepted)
    if asked then
        call('HDEL', key .. ':x', 'count', 'key', 'hash')
    end
    call('ZREM', P .. 'bstage', token)
    call('UNLINK', key .. ':k')
    reply[3] = #accepted
    return done(unpack(reply))
end

-- ---- enter ----

local ENTERING = 20 -- in one script: when each takes the place of another one, more are too much
-- It has come in, or is known to be there: who asks for room counts it as one that is. went: of those that are, how many of each lane;
-- nil: a version before bwait counted them.
local function is_in(a, key, counts, went)
    if counts == 1 and went then
        went[a[6]] = (went[a[6]] or 0) + 1
    elseif counts == 1 then
        local l = M.lane(a[6])
        meta.cm = max(meta.cm - 1, 0)
        if l and l.cm > 0 then
            l.cm, l.touched = l.cm - 1, true
        end
    end
    if key and call('HGET', P .. 'bkeys', key) == a[1] then
        call('HDEL', P .. 'bkeys', key)
    end
end
-- whole: who meets foreign data fails; else such a job stays. How many were looked at, are in, the texts of those that stay, and how many
-- count as waiting no more as those that are to come, of each lane.
local function enter_some(b, token, whole)
    local key, came, stay = P .. 'bg:' .. token, 0, {}
    local texts, since = call('LRANGE', key, 0, ENTERING - 1), call('HMGET', key .. ':x', 'at', 'node')
    local went = call('HEXISTS', P .. 'bwait', token) == 1 and {} or nil
    local rows, refused = M.rows_open(b), call('HLEN', key .. ':x') > 1
    M.adding_to = b.id
    M.gather(not whole)
    for _, text in ipairs(texts) do
        local a = M.texts_of(string.sub(text, 2))
        if not refused or call('HEXISTS', key .. ':x', a[1]) == 0 then
            local unique = a[21] ~= '' and a[2] .. '\n' .. a[21]
            a.batch, a.after, a.coming, a[30] = b.id, M.rows_after(rows), true, since[1]
            a.by_node = since[2]
            local reply, taken = M.take(a) -- not taken: it is there, left by a script that failed half-way, or given this id by somebody
            if taken then
                M.rows_added(rows, M.job(a[1]))
            end
            if not taken and reply[1] == R_ALONE then
                stay[#stay + 1] = {a[1], text}
            else
                is_in(a, unique, N(string.sub(text, 1, 1)), went)
                came = came + 1
            end
        end
    end
    M.adding_to = nil
    M.said_last(b)
    M.flush() -- before the texts go
    M.rows_close(b, rows)
    return #texts, came, stay, went or {}
end
-- Their texts go, and they count where they are by now.
local function trim(token, looked, went)
    local n = 0
    for _, count in pairs(went) do
        n = n + count
    end
    call('LTRIM', P .. 'bg:' .. token, looked, -1)
    give_room(token, n, went)
end
-- They go behind the others, which come in without them; the batch is not complete before.
local function stay_behind(b, token, looked, came, stay, went)
    local key = P .. 'bg:' .. token
    for _, one in ipairs(stay) do
        call('RPUSH', key, one[2])
        if call('HSETNX', key .. ':x', 'bad ' .. one[1], 1) == 1 then
            M.event(nil, 'queue.damaged', '{"job":"' .. one[1] .. '"}')
        end
    end
    trim(token, looked, went)
    if came > 0 then
        b.cm = left_of(coming_to(b))
        M.batch_touch(b)
    end
    local more = came > 0 and call('LLEN', key) > #stay
    call('HSET', key .. ':x', 'stays', more and 0 or 1)
    return more
end
local function forget(token)
    unlink_texts(token)
    call('ZREM', P .. 'bcoming', token)
    call('ZREM', P .. 'bstage', token)
    call('HDEL', P .. 'bwait', token)
end
-- Of an order whose commit failed before there was a batch: nothing of it was accepted.
function M.batch_undo(token)
    local key = P .. 'bg:' .. token
    if call('EXISTS', key, key .. ':k', key .. ':x') == 0 and not call('ZSCORE', P .. 'bcoming', token) then
        return
    end
    for _, k in ipairs(known_of(token)) do
        if call('HGET', P .. 'bkeys', k[5]) == k[2] then
            call('HDEL', P .. 'bkeys', k[5])
        end
    end
    forget(token)
end
-- token '': that which is due first. Whether there is more of it, and its token; '' when none is due.
function M.batch_enter(token, whole)
    token = token ~= '' and token or call('ZRANGEBYSCORE', P .. 'bcoming', '-inf', now, 'LIMIT', 0, 1)[1]
    if not token or not call('ZSCORE', P .. 'bcoming', token) then
        return {R_OK, 0, ''}
    end
    call('ZADD', P .. 'bcoming', now + GO_ON, token) -- also when what follows fails: others are not held up by it
    local b = M.batch(string.match(token, '^[^:]+'))
    if b then
        go_on(b, token)
        local looked, came, stay, went = enter_some(b, token, whole)
        if #stay > 0 then
            return done(R_OK, stay_behind(b, token, looked, came, stay, went) and 1 or 0, token)
        end
        b.cm = max(b.cm - came, 0)
        if looked == ENTERING then
            M.batch_touch(b)
            trim(token, looked, went)
            return done(R_OK, 1, token)
        end
        M.batch_all_in(b)
        give_room(token, 0, went)
        forget(token)
    else -- a script failed before it was made
        M.batch_undo(token)
    end
    return done(R_OK, 0, token)
end
-- All in one script, no more than enter_some() takes. by_node, begin, asked: as of M.batch_commit(); begin() returns the batch.
function M.batch_at_once(token, text, whole, by_node, begin, asked)
    local jobs, packed = M.batch_jobs(text)
    local reply, texts, accepted, key = {R_OK, '', 0}, {}, {}, P .. 'bg:' .. token
    local said, ids = #reply, {}
    for _, a in ipairs(jobs) do
        ids[#ids + 1] = a and a[1] or nil
    end
    if #ids > 0 then
        M.note_absent(ids)
    end
    M.batch_look(jobs, 0, whole, function(i, a, plan)
        local staged, counts = staged_text(packed[i], plan)
        texts[#texts + 1] = staged
        accepted[#accepted + 1] = {0, '', a[6], counts}
    end, reply)
    if #texts == 0 or (whole and #reply > said) then
        return M.batch_nobody(reply)
    end
    call('ZADD', P .. 'bstage', now, token)
    call('RPUSH', key, unpack(texts))
    note_since(token, by_node)
    if asked then
        call('HSET', key .. ':x', 'count', I(#texts), 'key', asked[1], 'hash', asked[2])
    end
    keep_room(token, accepted, M.deep_lane)
    call('ZADD', P .. 'bcoming', now + GO_ON, token)
    local b = begin(#texts)
    if asked then
        call('HDEL', key .. ':x', 'count', 'key', 'hash')
    end
    reply[3] = #texts
    local looked, came, stay, went = enter_some(b, token, false)
    if #stay > 0 then
        stay_behind(b, token, looked, came, stay, went)
    else
        b.cm = max(b.cm - came, 0)
        M.batch_all_in(b, true)
        give_room(token, 0, went)
        forget(token)
    end
    return done(unpack(reply))
end
-- Whether an addition with this key was accepted that the batch does not know yet.
function M.batch_comes_by(id, key)
    for _, token in ipairs(coming_to({id = id})) do
        if call('HGET', P .. 'bg:' .. token .. ':x', 'key') == key then
            return true
        end
    end
    return false
end
-- With which this job comes in that was accepted, and is no job yet.
function M.batch_with(id)
    for _, token in ipairs(call('ZRANGE', P .. 'bcoming', 0, -1)) do
        local key = P .. 'bg:' .. token
        for _, text in ipairs(call('HEXISTS', key .. ':x', id) == 0 and call('LRANGE', key, 0, -1) or {}) do
            local from, to = string.match(text, '^%d()%d+:()')
            local n = from and N(string.sub(text, from, to - 2))
            if n == #id and string.sub(text, to, to + n - 1) == id then
                return token
            end
        end
    end
end
-- Those of one batch that are to come, and can.
function M.batch_coming(b)
    for _, token in ipairs(coming_to(b)) do
        if call('HGET', P .. 'bg:' .. token .. ':x', 'stays') ~= '1' then
            return token
        end
    end
end
