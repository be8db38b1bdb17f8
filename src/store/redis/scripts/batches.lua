-- batches.lua - jobs that belong together (store/batches.h): part of the scripts that make jobs or end them, behind
-- take.lua.
--
-- Keys behind the prefix:
--   b:ID       a batch: fields below. :0 … :7 its jobs by state, by number; :a additions, key to "hash|added"
--   b:ID:c     its callbacks, N being 0 (complete) or 1 (success): tN the ticket, pN the job as take.lua is asked, or bN jN why there
--              can be none, as text and as JSON; when it was announced: atN, jobN, dueN, whyN
--   b:ID:t     when only so many may run at once: the last job of each row, by number; rw: and others, a script failed on the way
--   ro         of a batch that is retried by an operation that has not begun: its rate, whether jobs begin anew, the last job
--   a0 a1      of a batch: its callback N was announced, r0 r1 likewise that it has no job; oe: what the log may not have, M.says()
--   batches    all, by number        bidem   tenant and key to "hash|id"
--   bcdue      "N:ID" of a callback that could not be made, by when it is tried again
--   bempty     those without a job, by their last change
--   bsettle    "ID JOB JOB ..." of one that may be complete by the end of these jobs, or of none: by when somebody else looks than who
--              ended them
--
-- Its jobs come in when it is there already, in the same script, or more of them in several: batch_pieces.lua. Until the last of them
-- is in, a batch has cm, how many are to come, and is not sealed (sl: it will be then): who knows neither, as an earlier version, does
-- not complete it, but seals it when asked to, and then it is complete too early (docs/explanation/delivery.md).
-- late
local BATCH = fields_of({
    n = 0, se = 0, st = 0, sa = 0, pl = 0, gw = 0, go = 0, ca = 0, ua = 0, fa = 0, rv = 0, cm = 0, sl = 0, rw = 0, a0 = 0, a1 = 0, r0 = 0, r1 = 0,
    te = '', na = '', ik = '', op = '', oe = '', ro = ''
})
local COMPLETE, SUCCESS = 0, 1
local ANNOUNCED = {[COMPLETE] = 'batch.complete', [SUCCESS] = 'batch.success'}
local NAMES = {[COMPLETE] = 'complete', [SUCCESS] = 'success'}
local CALL_WAIT = 5000
local batches = {}

-- ---- rows ----

-- nil: there is none.
function M.batch(id)
    if batches[id] then
        return batches[id]
    end
    local b, there = read(P .. 'b:' .. id, BATCH)
    if not there then
        return nil
    end
    b.id, b.key, b.before = id, P .. 'b:' .. id, copy(b)
    batches[id] = b
    return M.owes(b)
end
local function write_batch(b)
    write(b.key, b, b.before, BATCH)
    b.before = copy(b)
end
-- It is there when it was written for the first time.
function M.batch_new(id)
    local b = setmetatable({}, BATCH.meta)
    b.id, b.key, b.before = id, P .. 'b:' .. id, copy(b)
    b.ca = now
    return b
end
function M.batch_count(b, from, to)
    local n = 0
    for st = from, to do
        n = n + call('ZCARD', b.key .. ':' .. st)
    end
    return n
end
local function live(b)
    return M.batch_count(b, BLOCKED, ACTIVE)
end
-- Without jobs it may be forgotten one day.
local function note_empty(b)
    if M.batch_count(b, BLOCKED, EXPIRED) + b.cm == 0 then
        call('ZADD', P .. 'bempty', b.ua, b.id)
    else
        call('ZREM', P .. 'bempty', b.id)
    end
end
M.batch_note_empty = note_empty
function M.batch_touch(b)
    local is_new = b.n == 0
    if is_new then
        b.n, batches[b.id] = call('HINCRBY', P .. 'meta', 'bid', 1), b
    end
    b.ua, b.rv = now, b.rv + 1
    write_batch(b)
    if is_new then
        call('ZADD', P .. 'batches', b.n, b.id)
    end
    note_empty(b)
end

-- An id like those of base/id.c; the same again for the same salt.
local DIGITS = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
local function digits(n, count)
    local text = ''
    for _ = 1, count do
        local d = n % 32
        text = string.sub(DIGITS, d + 1, d + 1) .. text
        n = floor(n / 32)
    end
    return text
end
local function derive_id(kind, b, salt)
    local one, two = M.hash(b.id, {0, salt}), M.hash(b.id, {1, salt})
    return kind .. '_' .. digits(now, 10) .. digits(one[1], 6) .. digits(one[2], 6) .. digits(two[2], 4)
end

-- ---- operations on many jobs: operation.lua, operations.lua ----

local RUNNING, DONE, STOPPED = 0, 1, 2
local KINDS = {[0] = 'replay', 'delete', 'cancel', 'hold', 'release', 'set_priority'}
local OPERATION = fields_of({
    oid = 0, kind = 0, state = 0, failure = 0, since = 0, til = 0, reset = 0, rate = 0, cursor = 0, last = 0, due = 0, done = 0,
    skipped = 0, ca = 0, ua = 0, fa = 0, many = 0, most = 0, prio = 0, states = 0, class = 0, held = 0, site = '', jk = '', fp = '',
    ba = '', tenant = '', target = '', lane = '', why = '', whyj = '', labels = '', oe = ''
})
-- nil: there is none.
function M.operation(id)
    local o, there = read(P .. 'op:' .. id, OPERATION)
    o.id, o.key, o.before = id, P .. 'op:' .. id, copy(o)
    return there and M.owes(o) or nil
end
-- Where those are that are due. A version before labels does not look at the second one: it would find no job of such an
-- operation, and end it.
function M.due_index(labels)
    return P .. (labels ~= '' and 'oplabel' or 'opdue')
end
function M.operation_save(o, state)
    o.state, o.ua, o.fa = state, now, state ~= RUNNING and now or 0
    if state ~= RUNNING then
        M.says(o, state == DONE and 'operation.done' or 'operation.cancelled', '{"kind":"' .. KINDS[o.kind] .. '","done":' .. I(o.done) ..
               ',"skipped":' .. I(o.skipped) .. '}')
    end
    call('ZADD', state == RUNNING and M.due_index(o.labels) or P .. 'opend', state == RUNNING and o.due or now, o.id) -- first: it is found
    write(o.key, o, o.before, OPERATION)
    o.before = copy(o)
    if state == RUNNING then
        return
    end
    call('ZREM', M.due_index(o.labels), o.id)
    local b = o.ba ~= '' and M.batch(o.ba)
    if b then
        b.op = ''
        write_batch(b)
    end
end
-- f: its fields that are not zero. It is due at once.
function M.operation_begin(id, f)
    local o = setmetatable(f, OPERATION.meta)
    o.id, o.key, o.before = id, P .. 'op:' .. id, setmetatable({}, OPERATION.meta)
    o.oid, o.ca, o.due = call('HINCRBY', P .. 'meta', 'oid', 1), now, now
    M.operation_save(o, RUNNING)
    call('ZADD', P .. 'ops', o.oid, id)
    local b = o.ba ~= '' and M.batch(o.ba)
    if b then
        b.op, b.ro = id, ''
        write_batch(b)
    end
    return o
end
-- Of a batch that was said to be retried by operation b.op, likewise.
function M.batch_retry_begin(b)
    local rate, reset, last = string.match(b.ro, '^(%d+) (%d+) (%d+)$')
    return M.operation_begin(b.op, {kind = 0, failure = -1, til = now, last = N(last), rate = N(rate), reset = N(reset), ba = b.id})
end
function M.batch_stop_operation(b)
    local o = b.op ~= '' and (M.operation(b.op) or b.ro ~= '' and M.batch_retry_begin(b))
    if o then
        M.operation_save(o, STOPPED)
    end
end

-- Of a batch that was said to be cancelled by operation b.op: that begins. A script that failed half-way has left b.op without it;
-- who asks again, or the walk, goes on there.
function M.batch_cancel_begin(b)
    return M.operation_begin(b.op, {kind = 2, failure = -1, til = now, last = meta.seq, ba = b.id})
end
-- Whether the operation that the batch names never began.
function M.batch_op_is_missing(b)
    return b.op ~= '' and not M.operation(b.op)
end
function M.batch_check_operation(b)
    local o = b.op ~= '' and M.operation(b.op)
    if b.op == '' or (o and o.state == RUNNING) then
        return false
    elseif not o and b.st == 1 then
        M.batch_cancel_begin(b)
    elseif not o and b.ro ~= '' then
        M.batch_retry_begin(b)
    else
        b.op, b.ro = '', ''
        write_batch(b)
    end
    return true
end

-- ---- callbacks ----

local function call_due(b, kind, at)
    call('HSET', b.key .. ':c', 'due' .. kind, I(at))
    call('ZADD', P .. 'bcdue', at, kind .. ':' .. b.id)
end
-- Why it has no job: for good, or until it is tried again. why: {text, the same as JSON}
function M.call_refused(b, kind, later, why)
    call('HSET', b.key .. ':c', 'why' .. kind, why[1])
    if later then
        call_due(b, kind, now + CALL_WAIT)
        return
    end
    if b['r' .. kind] == 0 then
        b['r' .. kind] = 1
        M.says(b, 'batch.callback_failed', '{"callback":"' .. NAMES[kind] .. '","why":' .. why[2] .. '}')
        write_batch(b)
    end
    call('HDEL', b.key .. ':c', 'due' .. kind)
    call('ZREM', P .. 'bcdue', kind .. ':' .. b.id)
end
local FOREIGN = 'what is not of the queue is in the place of what its job needs'
-- Accepts its job, which is due; else how take.lua says why not. A job with a unique key may take the place of others, so it comes when
-- nobody else is at work (`alone`).
function M.call_make(b, kind, alone)
    local key = b.key .. ':c'
    local a = M.texts_of(call('HGET', key, 'p' .. kind))
    if a[21] ~= '' and not alone then
        return nil
    end
    for i = 15, 16 do
        a[i] = N(a[i]) > 0 and now + N(a[i]) or 0
    end
    local reply = M.take(a, true)
    if reply[1] == R_OK or reply[1] == R_STATE then -- nobody else has its id: a script made it that failed behind that
        M.behind(function()
            call('HSET', key, 'job' .. kind, reply[2] or a[1])
            call('HDEL', key, 'due' .. kind, 'why' .. kind)
            call('ZREM', P .. 'bcdue', kind .. ':' .. b.id)
        end)
        return nil
    elseif reply[1] == R_ALONE then
        M.call_refused(b, kind, true, {FOREIGN})
        return nil
    end
    local waits = reply[1] == R_FULL or reply[1] == R_MODE or reply[1] == R_CLOSED or reply[1] == R_LANES
    call_due(b, kind, waits and now + CALL_WAIT or now) -- batches.c says why not, in words
    return reply
end
-- Whoever failed on the way is gone on with: its job is due before it counts as announced.
local function announce(b, kind)
    local key = b.key .. ':c'
    if call('HEXISTS', key, 'at' .. kind) == 1 then
        return
    elseif b['a' .. kind] == 0 then
        b['a' .. kind] = 1
        M.says(b, ANNOUNCED[kind], '{"state":"' .. NAMES[kind] .. '"}')
        write_batch(b)
    end
    local v = call('HMGET', key, 'p' .. kind, 'b' .. kind, 'j' .. kind)
    if v[1] then
        call_due(b, kind, now)
    elseif v[2] then
        M.call_refused(b, kind, false, {v[2], v[3]})
    end
    call('HSET', key, 'at' .. kind, I(now))
    if v[1] then
        M.call_make(b, kind, false)
    end
end

-- ---- the end of a job ----

local function is_over(b)
    return b.se == 1 and b.cm == 0 and live(b) == 0
end
-- Sealed and nothing live: complete; and nothing that did not succeed: success.
local function settle(b, member)
    if is_over(b) then
        local first = b.fa == 0
        b.fa = first and now or b.fa
        announce(b, COMPLETE)
        if first then
            M.batch_touch(b)
        end
        if b.go == 0 and M.batch_count(b, DEAD, EXPIRED) == 0 then
            announce(b, SUCCESS)
        end
    end
    call('ZREM', P .. 'bsettle', member)
end
-- When it is over, all that is about to be written says so first, and then it is said; a script that fails in between has somebody else
-- say it. Called before the batch is written as sealed, or behind the end of a job.
function M.batch_settle(b)
    if b.settles or not is_over(b) then
        return
    end
    local member = b.id .. (b.enders or '')
    b.settles = true
    call('ZADD', P .. 'bsettle', now, member)
    M.behind(function()
        b.settles, b.enders = nil, nil
        settle(b, member)
    end)
end
-- The one that is due first, of which a script failed on the way. Jobs that did not end then, for all that their batch says, will, and
-- are looked at then. Whether there was one.
function M.batch_settle_next()
    local member = call('ZRANGEBYSCORE', P .. 'bsettle', '-inf', now, 'LIMIT', 0, 1)[1]
    if not member then
        return false
    end
    call('ZADD', P .. 'bsettle', now + CALL_WAIT, member) -- also when what follows fails: others are not held up by it
    local b = M.batch(string.match(member, '^%S+'))
    for id in string.gmatch(member, ' (%S+)') do
        local j = M.job(id)
        b = not (j and j.st < SUCCEEDED) and b or nil
    end
    if b then
        settle(b, member)
    else
        call('ZREM', P .. 'bsettle', member)
    end
    return true
end
-- Too many failed: what has not ended is cancelled, by an operation, not in this transition.
local function stop(b)
    if live(b) == 0 then
        return
    end
    local id = derive_id('opr', b, now % 4294967296)
    M.batch_stop_operation(b)
    b.st, b.se, b.op = 1, 1, id
    M.says(b, 'batch.stopped', '{"failures":' .. I(b.sa) .. ',"operation":"' .. id .. '"}')
    M.batch_touch(b)
    M.batch_cancel_begin(b)
end
local function has_failed(b)
    return b.sa > 0 and call('ZCARD', b.key .. ':' .. DEAD) + call('ZCARD', b.key .. ':' .. EXPIRED) + b.go >= b.sa
end
function M.child_ended(j)
    local b = j.ba ~= '' and j.ba ~= M.adding_to and M.batch(j.ba)
    if not b then
        return
    end
    -- What is to come would not be cancelled: looked at again when all are in.
    if (j.st == DEAD or j.st == EXPIRED) and b.st == 0 and b.cm == 0 and has_failed(b) then
        stop(b)
    end
    b.enders = (b.enders or '') .. ' ' .. j.id
    M.batch_settle(b)
end
-- The last of those that were to come together is in. at_once: nobody has seen it without them.
function M.batch_all_in(b, at_once)
    if b.cm == 0 then
        b.se, b.sl = max(b.se, b.sl), 0
        M.batch_settle(b)
    end
    if at_once then
        write_batch(b)
        note_empty(b)
    else
        M.batch_touch(b)
    end
    if b.cm == 0 and (has_failed(b) or b.st == 1) then -- by an earlier version, which did not know of those
        stop(b)
    end
end
-- Retention deletes it: it counts as ended, as what it was. Its batch says with the same write that it has counted it, until it is
-- gone: a script that fails in between is asked again. The key where that stands.
function M.child_gone(j)
    local b = j.ba ~= '' and M.batch(j.ba)
    if not b then
        return nil
    end
    if call('HEXISTS', b.key, 'g:' .. j.id) == 0 then
        local field = j.st == SUCCEEDED and 'gw' or 'go'
        b[field] = b[field] + 1
        b.before[field] = b[field]
        call('HSET', b.key, field, I(b[field]), 'g:' .. j.id, 1)
    end
    note_empty(b)
    return b.key
end

-- ---- so many at once: store/sqlite/parallel.c ----

-- It waits no longer for its leader. When it was the last of its row, and the leader has not ended, that is the last one now.
function M.left_row(j)
    local l = j.ba ~= '' and M.job(j.wt)
    local tails = P .. 'b:' .. j.ba .. ':t'
    if l and l.ba == j.ba and l.st < SUCCEEDED and call('ZSCORE', tails, j.id) then
        call('ZADD', tails, l.sq, l.id)
        call('ZREM', tails, j.id)
    end
end
local CHAIN = 100 -- longer than what one script adds to a row
-- A script failed while it added to rows: the last one of a row is behind the one that is noted.
local function last_behind(j, b)
    for _ = 1, CHAIN do
        local behind
        for _, id in ipairs(call('ZRANGE', P .. 'wt:' .. j.id, 0, STEP - 1)) do
            local w = M.job(id)
            behind = behind or w and w.ba == b.id and w.st == BLOCKED and w.wt == j.id and w
        end
        if not behind then
            return j
        end
        j = behind
    end
    return j
end
-- The last job of each row that has not ended: {id, state, number}.
local function tails_of(b)
    local ids, tails, seen = call('ZRANGE', b.key .. ':t', 0, -1), {}, {}
    if #ids == 0 then
        return tails
    elseif b.rw == 0 then
        for st = BLOCKED, ACTIVE do
            for i, sq in ipairs(call('ZMSCORE', P .. 's:' .. st, unpack(ids))) do
                tails[#tails + 1] = sq and {id = ids[i], st = st, sq = N(sq)} or nil
            end
        end
        return tails
    end
    for _, id in ipairs(ids) do
        local j = M.job(id)
        j = j and j.ba == b.id and j.st < SUCCEEDED and j.ge == 0 and last_behind(j, b)
        if j and not seen[j.id] then
            seen[j.id], tails[#tails + 1] = true, {id = j.id, st = j.st, sq = j.sq}
        end
    end
    return tails
end
-- From now on until M.rows_close() the rows are in doubt, should this script fail.
function M.rows_open(b)
    local rows = {of = b, most = b.pl, at = 1, tails = {}}
    if b.pl == 0 then
        return rows
    end
    rows.tails = tails_of(b)
    call('HSET', b.key, 'rw', 1)
    b.rw, b.before.rw = 1, 1
    table.sort(rows.tails, function(x, y) return x.st < y.st or (x.st == y.st and x.sq < y.sq) end)
    return rows
end
function M.rows_after(rows)
    local tail = rows.most > 0 and #rows.tails >= rows.most and rows.tails[rows.at]
    return tail and M.job(tail.id) or nil
end
function M.rows_added(rows, j)
    if rows.most == 0 or j.st >= SUCCEEDED then -- an earlier result answered it
        return
    end
    call('ZADD', rows.of.key .. ':t', j.sq, j.id) -- before the job is there: M.rows_close() leaves the last of each row
    local tail = {id = j.id, st = j.st, sq = j.sq}
    if #rows.tails < rows.most then
        rows.tails[#rows.tails + 1] = tail
        return
    end
    rows.tails[rows.at] = tail
    rows.at = rows.at % #rows.tails + 1
end
-- All else is written before: who fails on the way leaves more than the last ones. An earlier version knows the last ones only.
function M.rows_close(b, rows)
    if rows.most == 0 then
        return
    end
    M.flush()
    local stays, added, gone = {}, {}, {}
    for _, tail in ipairs(rows.tails) do
        stays[tail.id] = true
        added[#added + 1] = tail.sq
        added[#added + 1] = tail.id
    end
    if #added > 0 then
        call('ZADD', b.key .. ':t', unpack(added))
    end
    for _, id in ipairs(call('ZRANGE', b.key .. ':t', 0, -1)) do
        gone[#gone + 1] = not stays[id] and id or nil
    end
    if #gone > 0 then
        call('ZREM', b.key .. ':t', unpack(gone))
    end
    b.rw = 0
    write_batch(b)
end
