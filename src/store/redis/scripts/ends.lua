-- ends.lua - what scripts may use that start jobs, end them or have them back: delays, breakers, endings, login sessions.
-- Behind common.lua in those that say so.

-- late
-- ---- delays: core/retry.c in 32-bit halves ----

local band, bor, bxor, lshift, rshift = bit.band, bit.bor, bit.bxor, bit.lshift, bit.rshift
local TWO32 = 4294967296

local function u32(n)
    return n % TWO32
end
local function add64(a, b)
    local lo = a[2] + b[2]
    return {u32(a[1] + b[1] + floor(lo / TWO32)), u32(lo)}
end
local function xor64(a, b)
    return {u32(bxor(a[1], b[1])), u32(bxor(a[2], b[2]))}
end
local function rotl64(a, n)
    if n >= 32 then
        a, n = {a[2], a[1]}, n - 32
    end
    if n == 0 then
        return a
    end
    return {u32(bor(lshift(a[1], n), rshift(a[2], 32 - n))), u32(bor(lshift(a[2], n), rshift(a[1], 32 - n)))}
end
local function mul64(a, b)
    local x = {a[2] % 65536, floor(a[2] / 65536), a[1] % 65536, floor(a[1] / 65536)}
    local y = {b[2] % 65536, floor(b[2] / 65536), b[1] % 65536, floor(b[1] / 65536)}
    local r, carry = {}, 0
    for i = 1, 4 do
        local sum = carry
        for k = 1, i do
            sum = sum + x[k] * y[i - k + 1]
        end
        r[i] = sum % 65536
        carry = floor(sum / 65536)
    end
    return {r[4] * 65536 + r[3], r[2] * 65536 + r[1]}
end
local function sip_round(v)
    v[1] = add64(v[1], v[2])
    v[3] = add64(v[3], v[4])
    v[2] = xor64(rotl64(v[2], 13), v[1])
    v[4] = xor64(rotl64(v[4], 16), v[3])
    v[1] = rotl64(v[1], 32)
    v[3] = add64(v[3], v[2])
    v[1] = add64(v[1], v[4])
    v[2] = xor64(rotl64(v[2], 17), v[3])
    v[4] = xor64(rotl64(v[4], 21), v[1])
    v[3] = rotl64(v[3], 32)
end
local function word_at(s, i)
    local b = {string.byte(s, i, i + 7)}
    local lo = (b[1] or 0) + (b[2] or 0) * 256 + (b[3] or 0) * 65536 + (b[4] or 0) * 16777216
    return {(b[5] or 0) + (b[6] or 0) * 256 + (b[7] or 0) * 65536 + (b[8] or 0) * 16777216, lo}
end
-- span_hash()
local function hash(s, seed)
    local key = add64(mul64(seed, {0x9e3779b9, 0x7f4a7c15}), {0, 1})
    local v = {xor64(seed, {0x736f6d65, 0x70736575}), xor64(key, {0x646f7261, 0x6e646f6d}),
               xor64(seed, {0x6c796765, 0x6e657261}), xor64(key, {0x74656462, 0x79746573})}
    local whole = #s - #s % 8
    for i = 1, whole + 1, 8 do
        local word = word_at(s, i)
        if i > whole then
            word[1] = word[1] + #s % 256 * 16777216
        end
        v[4] = xor64(v[4], word)
        sip_round(v)
        v[1] = xor64(v[1], word)
    end
    v[3] = xor64(v[3], {0, 0xff})
    for _ = 1, 3 do
        sip_round(v)
    end
    return xor64(xor64(v[1], v[2]), xor64(v[3], v[4]))
end
local function draw(id, n, seed, most)
    local h = hash(id, add64(seed, mul64({0, n}, {0x9e3779b9, 0x7f4a7c15})))
    local shifted = {floor(h[1] / 536870912), u32(floor(h[2] / 536870912) + u32(h[1] * 8))}
    h = xor64(h, shifted)
    local m = most + 1
    return (h[1] % m * (TWO32 % m) + h[2] % m) % m
end
-- Before the n-th try of its kind; hint: the server's own time; asks: what the job asks for, base, cap and factor, or nothing.
function M.delay(id, n, hint, asks)
    n = min(n, 64)
    local high, low, d, cap = struct.unpack('>i8i8i8i8', ARGV[2])
    local factor, seed = 2, {high, low}
    if asks and asks ~= '' then
        d, cap, factor = string.match(asks, '^(%d+) (%d+) (%d+)$')
        d, cap, factor = N(d), N(cap), N(factor)
    end
    for _ = 2, n do
        d = min(d * factor, cap)
    end
    d = min(d, cap)
    local half = floor(d / 2)
    local own = half + draw(id, n, seed, d - half)
    if hint <= 0 then
        return own
    end
    return max(own, hint) + draw(id, n, xor64(seed, {0xd1b54a32, 0xd192ed03}), floor(hint / 5))
end
M.hash = hash

-- late
-- core/fingerprint.c; words: as fingerprint_words() gave them.
function M.enter_group(j, failure_name, words)
    local f = M.fixed(j.id)
    local h = M.hash(string.sub(f[1], 1, 64) .. '\n' .. string.sub(f[2], 1, 64) .. '\n' .. failure_name .. '\n' .. words, {0, 0})
    j.fp = string.format('%08x%08x', h[1], h[2])
    call('ZADD', P .. 'prints', 0, group_of(j))
    call('ZADD', P .. 'pr:' .. group_of(j), j.fa, j.id)
end

-- late
-- ---- breaker, rate, retries: core/lane.c, core/limit.c ----

local function trip(l)
    M.breaker_is(l, OPEN)
    l.bt = now + min(10000 * 2 ^ min(l.tr, 8), 1800000)
    l.tr = l.tr + 1
    l.bf, l.wf, l.ws, l.wb = 0, 0, 0, 0
end
local function note_window(l, bad)
    if l.bs ~= CLOSED then
        return
    end
    if l.ws == 0 or now - l.wf > 600000 then
        l.wf, l.ws, l.wb = now, 0, 0
    end
    l.ws, l.wb = l.ws + 1, l.wb + (bad and 1 or 0)
end
local function note(l, sign)
    if sign == OK then
        l.bf, l.tr = 0, 0
        if l.bs == HALF_OPEN then
            M.breaker_is(l, CLOSED)
        end
        note_window(l, false)
    elseif sign == SIGN_NONE then
        if l.bs == HALF_OPEN then
            M.breaker_is(l, OPEN)
            l.bt = now
        end
    elseif l.bs ~= OPEN then
        l.bf = l.bf + 1
        note_window(l, true)
        if l.bs == HALF_OPEN or l.bf >= 5 or (l.ws >= 20 and 2 * l.wb >= l.ws) then
            trip(l)
        end
    end
end
-- What an ending says about the site. Errors in a row count when they are of different jobs; what was set by
-- hand stays until its time is over.
function M.sign(l, sign, seq)
    if l.fo > now or (sign == SIGN_BAD and l.bs == CLOSED and l.lb == seq) then
        return
    end
    if sign ~= SIGN_NONE then
        l.lb = sign == SIGN_BAD and seq or 0
    end
    note(l, sign)
    l.touched = true
end
-- late
local SLICE, SLICES = 60000, 10
-- The longest waits that are counted together: core/meter.c.
local WAITS = {10, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000, 300000, 1800000, 7200000}
local function count_slice(l, what)
    l.meter = l.meter or {}
    l.meter[what] = (l.meter[what] or 0) + 1
end
local function forget_slices(key, newest, slice)
    if slice - newest >= SLICES then
        call('DEL', key)
    end
    for s = newest - SLICES + 1, min(newest, slice - SLICES) do
        local old = {'s' .. s, 'r' .. s, 'a' .. s, 'e' .. s}
        for b = 0, #WAITS do
            old[#old + 1] = 'w' .. b .. ':' .. s
        end
        call('HDEL', key, unpack(old))
    end
    call('HSET', key, 'n', slice)
end
-- What was counted in this script; M.flush() does so too.
function M.write_meter(l)
    local key, slice, fields, set = l.key .. ':t', floor(now / SLICE), {}, {}
    for what in pairs(l.meter) do
        fields[#fields + 1] = what .. slice
    end
    local was = call('HMGET', key, 'n', unpack(fields))
    local newest = N(was[1])
    if meta.cs > 0 and slice <= newest - SLICES then -- by a clock that was ahead, and was set back since
        call('DEL', key)
        newest, was = 0, {}
    end
    if slice > newest then
        forget_slices(key, newest, slice)
    end
    if slice > newest - SLICES then
        local i = 1
        for what, more in pairs(l.meter) do
            i = i + 1
            set[#set + 1] = what .. slice
            set[#set + 1] = I(N(was[i]) + more)
        end
        call('HSET', key, unpack(set))
    end
    l.meter = nil
end
function M.retry_at(l)
    local fields, slice, starts, retries = {}, floor(now / SLICE), 0, 0
    if l.meter then
        M.write_meter(l)
    end
    for s = slice - SLICES + 1, slice do
        fields[#fields + 1] = 's' .. s
        fields[#fields + 1] = 'r' .. s
    end
    local counts = call('HMGET', l.key .. ':t', unpack(fields))
    for i, n in ipairs(counts) do
        if i % 2 == 1 then
            starts = starts + N(n)
        else
            retries = retries + N(n)
        end
    end
    local least, percent = struct.unpack('>i8i8', ARGV[2], 57)
    if N(counts[#counts]) == 0 or retries < least + floor(starts * percent / 100) then
        return now
    end
    return (slice + 1) * SLICE
end
function M.retried(l)
    count_slice(l, 'r')
end
-- One more job of the lane that came ('a') or ended ('e').
function M.metered(l, what)
    count_slice(l, what)
end
-- How much of its rate a lane uses: core/limit.c. What is owed stays as many starts.
local PACE_STEP = 10
local function paced(l, was, percent, since)
    l.pc, l.set = percent < 100 and I(percent) .. ' ' .. I(since) or '', nil
    if percent ~= was then
        l.ta = l.ta > now and now + floor(((l.ta - now) * was + percent - 1) / percent) or l.ta
        M.event(nil, 'lane.paced', '{"lane":"' .. l.name .. '","percent":' .. I(percent) .. '}')
    end
end
-- The site asked to wait until then; before what was asked of it until now is written.
function M.pace_down(l, til)
    local least = struct.unpack('>i8', ARGV[2], 137)
    local set = M.settings(l)
    if least <= 0 or least >= 100 or set.as_set <= 0 then
        return
    end
    local percent, since = l.bu > now and set.pace or min(set.pace, max(floor(set.pace / 2), least)), string.match(l.pc, ' (%d+)$')
    if percent < 100 then
        paced(l, set.pace, percent, max(til, N(since)))
    end
end
function M.pace_up(l)
    local clean, since = max(struct.unpack('>i8', ARGV[2], 145), 1), N(string.match(l.pc, ' (%d+)$'))
    local steps = now > since and floor((now - since) / clean) or 0
    if steps > 0 then
        local was = M.settings(l).pace
        paced(l, was, min(steps < 100 and was + steps * PACE_STEP or 100, 100), since + steps * clean)
    end
end
-- A job of the lane starts: its rate, its turn, its probe.
function M.started(l, waited)
    if l.pc ~= '' then
        M.pace_up(l)
    end
    local set, t, s = M.settings(l), l.tenant, l.site
    t.vt = max(t.vt, l.ps)
    l.ps = l.ps + floor(STRIDE / set.weight)
    l.ta = next_tat(l.ta, set.emit, set.burst)
    meta.tvt = max(meta.tvt, t.ps)
    t.ps, t.touched = t.ps + floor(STRIDE / (t.we > 0 and t.we or 100)), true
    s.ta = next_tat(s.ta, s.em, s.bu)
    if l.bs == OPEN and now >= l.bt then
        M.breaker_is(l, HALF_OPEN)
    end
    count_slice(l, 's')
    local b = 0
    while b < #WAITS and waited > WAITS[b + 1] do
        b = b + 1
    end
    count_slice(l, 'w' .. b .. ':')
    l.touched = true
end

-- part
-- ---- how jobs end ----

local function count_ended(to, verdict)
    local i = to == SUCCEEDED and verdict or to == DEAD and 5 or to == CANCELLED and 6 or 7
    if i > 0 then
        M.ended[i] = M.ended[i] + 1
    end
end
local WAITS_AFTER, WAITS_SHARE = 1, 2
-- Of these nobody waits for one; asked once for all of them.
local alone = {}
function M.note_alone(ids)
    local keys = {}
    for i, id in ipairs(ids) do
        keys[i] = P .. 'wt:' .. id
    end
    if #ids > 0 and call('EXISTS', unpack(keys)) == 0 then
        for _, id in ipairs(ids) do
            alone[id] = true
        end
    end
end
function M.is_awaited(id)
    if alone[id] == nil then
        alone[id] = call('EXISTS', P .. 'wt:' .. id) == 0
    end
    return not alone[id]
end
local function job_ended(j)
    M.metered(M.lane(j.ln), 'e')
    if j.rs ~= '' then
        M.run_ended(j)
    end
    if j.ba ~= '' then
        M.child_ended(j)
    end
    if M.is_awaited(j.id) then
        M.settle(j.id, 16)
    end
end
local function texts(j, fields)
    local set = {}
    for k, v in pairs(fields) do
        if v ~= '' then
            set[#set + 1] = k
            set[#set + 1] = v
        end
    end
    if #set > 0 then
        call('HSET', P .. 't:' .. j.id, unpack(set))
    end
end
M.texts = texts
-- late
-- To whom the event of its end goes as well, as a member of its body: store/delivery.h.
function M.call_back(j)
    if j.hk == '' then
        return ''
    end
    return (call('EXISTS', P .. 'wh:' .. j.hk) == 1 and ',"callback":"' or ',"callback_dropped":"') .. j.hk .. '"'
end
-- late
-- A job stays as long as another one waits for it or has its result.
function M.is_needed(id)
    return call('EXISTS', P .. 'wt:' .. id, P .. 'sh:' .. id) > 0
end
-- One job needs it less. When that was the last one, retention goes back to it.
function M.unneeded(id)
    local j = not M.is_needed(id) and M.job(id)
    if not j or j.st < SUCCEEDED then
        return
    end
    local index = j.st == DEAD and 'dead' or 'done'
    local place = call('HGET', P .. 'retain', index)
    if place and N(string.match(place, '^%S+')) >= j.fa then
        call('HSET', P .. 'retain', index, I(j.fa) .. ' ')
    end
    M.went_back = true
end
function M.stop_waiting(j)
    if j.wt ~= '' then
        call('ZREM', P .. 'wt:' .. j.wt, j.id)
        M.unneeded(j.wt)
        M.left_row(j)
    end
    j.wt, j.wh = '', 0
end
function M.wait_for(j, leader, how)
    M.stop_waiting(j)
    j.wt, j.wh, alone[leader.id] = leader.id, how, false
    call('ZADD', P .. 'wt:' .. leader.id, j.sq, j.id)
end
-- late
-- How many of a sorted set stand before this place or in it, whether its member is still there or not.
function M.rank_behind(index, score, member)
    local key = P .. index
    local low, high = call('ZCOUNT', key, '-inf', '(' .. score), call('ZCOUNT', key, '-inf', score)
    while low < high do
        local middle = floor((low + high) / 2)
        if call('ZRANGE', key, middle, middle)[1] > member then
            high = middle
        else
            low = middle + 1
        end
    end
    return low
end
-- late
local SOURCES = {[0] = 'own', 'shared', 'cache', 'stale'}
-- It had no lease; it counts as one that the store granted and ended itself.
function M.answer(j, from, source)
    local owner, age = from.sf ~= '' and from.sf or from.id, source == 1 and 0 or now - from.fa
    unpoint(j)
    leave_state(j)
    M.stop_waiting(j)
    j.fe, j.nk, j.ha, j.us, j.ve, j.en, j.nb = j.fe + 1, 1, from.ha, from.us, from.ve, from.en, from.nb
    j.so, j.sf, j.rg, j.fa, j.rj, j.cf, j.fi = source, owner, age, now, from.rj, from.cf, from.fi
    j.sa, j.rv = j.sa > 0 and j.sa or now, j.rv + 1
    call('SADD', P .. 'sh:' .. owner, j.id)
    local report = call('HGET', P .. 't:' .. from.id, 're')
    if report then
        call('HSET', P .. 't:' .. j.id, 're', report)
    end
    enter_state(j, SUCCEEDED, M.lane(j.ln))
    M.offer_result(j, now)
    count_ended(SUCCEEDED, j.ve)
    M.event(j, 'job.finished', '{"state":"succeeded","have":' .. I(j.ha) .. ',"verdict":"' .. M.verdicts[j.ve] ..
            '","source":"' .. SOURCES[source] .. '","from_job":"' .. from.id .. '"' .. M.call_back(j) .. '}')
    job_ended(j)
end
-- late
local settles = STEP -- waiting jobs that one script lets go on
local function go_on(j)
    local later = j.ra > now
    unpoint(j)
    M.stop_waiting(j)
    j.ra, j.rk = later and j.ra or now, 0
    move(j, later and SCHEDULED or READY)
    point(j)
end
local function settle_one(j, leader)
    if j.wh ~= WAITS_SHARE then
        go_on(j)
    elseif leader and leader.st == SUCCEEDED then
        M.answer(j, leader, 1)
    else
        -- No result to share: the first that waited does the work, the others wait for it.
        local live = M.live_work(j.wk)
        if live then
            M.wait_for(j, live, WAITS_SHARE)
        else
            go_on(j)
        end
    end
end
-- Lets go on at most `most` of those that waited for it; what is left is noted.
function M.settle(leader, most)
    local key, done = P .. 'wt:' .. leader, 0
    if call('EXISTS', key) == 0 then
        call('ZREM', P .. 'unset', leader) -- those that were left have ended otherwise
        return 0
    end
    most = min(most, settles)
    settles = settles - most
    local of = M.job(leader)
    for _, id in ipairs(most > 0 and call('ZRANGE', key, 0, most - 1) or {}) do
        local j = M.job(id)
        if j and j.st == BLOCKED then
            settle_one(j, of)
            done = done + 1
        else
            call('ZREM', key, id)
        end
    end
    if call('EXISTS', key) == 1 then
        call('ZADD', P .. 'unset', 0, leader)
    else
        call('ZREM', P .. 'unset', leader)
    end
    return done
end

-- late
-- The one way of a waiting job to its end. why: {text, the same as JSON}
function M.end_waiting(j, to, why)
    unpoint(j)
    leave_state(j)
    M.stop_waiting(j)
    j.fl, j.fa, j.cq, j.rv = to == CANCELLED and 18 or 0, now, to == CANCELLED and 1 or 0, j.rv + 1
    call('HDEL', P .. 't:' .. j.id, 'kn', 'wh')
    texts(j, {wh = why[1]})
    enter_state(j, to, M.lane(j.ln))
    count_ended(to, 0)
    M.event(j, to == EXPIRED and 'job.expired' or 'job.cancelled', '{"state":"' .. STATES[to] .. '","have":' ..
            I(j.ha) .. (why[1] ~= '' and ',"why":' .. why[2] or '') .. M.call_back(j) .. '}')
    job_ended(j)
end

-- late
-- Numbers of enum failure_budget, of enum job_event, and which counter takes the lease.
local B_NONE, B_FAIL, B_CRASH, B_THROTTLE, B_RELEASE = 0, 1, 2, 3, 4
local E_DONE, E_RETRY, E_THROTTLE, E_RELEASE, E_LOST, E_GIVE_UP, E_CANCEL = 1, 2, 3, 4, 5, 6, 7
local F_CRASH, F_CANCELLED = 17, 18
local RELEASES_FREE, RELEASES_MAX, STARTS_MAX = 3, 30, 1000
-- core/retry.c: what may be tried again of failures, by their number.
local SHARED = {[10] = true, [11] = true, [12] = true, [15] = true, [16] = true, [19] = true}
function M.retry_is_shared(failure)
    return SHARED[failure] or false
end
local function is_last(j, fails, crashes)
    return fails + crashes >= j.mf or crashes >= j.mc
end
-- Charges the lease to the budget and says what follows. out.retry: what the job asks for of the delay after a failure or a
-- crash, as M.delay() takes it.
function M.charge(j, budget, hint, out)
    local n
    out.wait = 0
    if budget == B_NONE then
        local cancelled = out.failure == F_CANCELLED
        out.count, out.on = cancelled and 'nv' or 'nf', cancelled and E_CANCEL or E_GIVE_UP
    elseif budget == B_FAIL then
        n = j.nf + 1 - j.fb
        out.count, out.on = 'nf', is_last(j, n, j.nc - j.cb) and E_GIVE_UP or E_RETRY
        out.wait = M.delay(j.id, n, hint, out.retry)
    elseif budget == B_CRASH then
        n = j.nc + 1 -- ever; the first time it was the worker
        out.count, out.on = 'nc', is_last(j, j.nf - j.fb, n - j.cb) and E_GIVE_UP or E_LOST
        out.wait = n > 1 and M.delay(j.id, n, 0, out.retry) or 0
    elseif budget == B_THROTTLE then
        n = j.nt + 1
        out.count, out.on = 'nt', n >= j.mt * (1 + j.ge) and E_GIVE_UP or E_THROTTLE
        out.wait = M.delay(j.id, n, hint)
    else
        n = j.nr + 1 - j.rb
        out.count = 'nr'
        out.on = n >= RELEASES_MAX and E_GIVE_UP or n > RELEASES_FREE and E_LOST or E_RELEASE
        out.wait = n > RELEASES_FREE and M.delay(j.id, n - RELEASES_FREE, 0) or 0
    end
    if out.on ~= E_GIVE_UP and out.on ~= E_CANCEL and j.fe >= STARTS_MAX * (1 + j.ge) then
        local words = 'it was started as often as a job may be without coming to an end'
        out.on, out.why, out.words = E_GIVE_UP, {words, '"' .. words .. '"'}, words
    end
end
-- late
local MOVES = {SUCCEEDED, SCHEDULED, SCHEDULED, READY, SCHEDULED, DEAD, CANCELLED}
M.verdicts = {[0] = 'none', 'complete', 'partial', 'empty_confirmed', 'sampled'}
local function leaving_kind(to, on)
    if to == SUCCEEDED then
        return 'job.finished'
    elseif to == CANCELLED or to == DEAD then
        return 'job.' .. STATES[to]
    elseif on == E_RELEASE then
        return 'job.released'
    end
    return on == E_THROTTLE and 'job.throttled' or 'job.retrying'
end
local function leaving_body(j, out, to)
    local body = '{"state":"' .. STATES[to] .. '","attempt":' .. I(j.fe) .. ',"have":' .. I(j.ha)
    if to == SUCCEEDED then
        body = body .. ',"verdict":"' .. M.verdicts[out.verdict] .. '","end":"' .. out.end_name .. '"'
    elseif out.failure ~= 0 then
        body = body .. ',"failure":"' .. (out.failure == F_CANCELLED and 'cancelled' or out.failure_name) .. '"'
    end
    if out.why[1] ~= '' then
        body = body .. ',"why":' .. out.why[2]
    end
    body = body .. (to == SCHEDULED and ',"retry_in_ms":' .. I(out.wait) or '')
    body = body .. (out.usage and out.usage ~= '' and ',' .. out.usage or '')
    return body .. (to >= SUCCEEDED and M.call_back(j) or '') .. '}'
end
-- The one way out of ACTIVE. out: as M.charge() left it, with failure, failure_name, verdict, end_reason,
-- end_name, why, report.
function M.leave(j, out)
    local l = M.lane(j.ln)
    -- Once asked to stop, every ending but a good one is `cancelled`.
    if j.cq == 1 and out.on ~= E_DONE then
        out.on, out.failure = E_CANCEL, F_CANCELLED
    end
    local to = MOVES[out.on]
    -- Nobody wants it any more: that is its end, and not another wait.
    if to < SUCCEEDED and j.de > 0 and j.de <= now and out.count ~= 'nr' then
        out.on, to = E_GIVE_UP, DEAD
    end
    local goes = l
    if to < SUCCEEDED and out.count == 'nc' and l.cl ~= QUARANTINE then
        goes = M.quarantine(l)
    end
    if to >= SUCCEEDED then
        unpoint(j)
    end
    leave_state(j)
    if j.se ~= '' then
        M.session_release(j)
    end
    j[out.count] = j[out.count] + 1
    j.fl, j.ve, j.en = out.failure, out.verdict or 0, out.end_reason or 0
    j.no, j.wo, j.ow, j.rq, j.le, j.su, j.sd, j.sb, j.ep = '', '', '', '', 0, 0, 0, 0, 0
    j.rv = j.rv + 1
    if j.fe > 1 or j.mk == 2 then
        call('HDEL', P .. 't:' .. j.id, 'wh', to >= SUCCEEDED and 'kn' or '')
    end
    texts(j, {wh = out.why[1], re = out.report or ''})
    if to >= SUCCEEDED then
        j.fa = now
    else
        j.rk = to == READY and rank_of(j) or 0 -- in front again: it had the smallest of its lane
        j.ra = to == SCHEDULED and now + out.wait or now
    end
    enter_state(j, to, goes)
    if to == DEAD then
        M.enter_group(j, out.failure == 0 and 'none' or out.failure_name, out.words or out.why[1])
    end
    if to >= SUCCEEDED then
        count_ended(to, j.ve)
    end
    if to == SUCCEEDED then
        M.offer_result(j, now)
    end
    M.event(j, leaving_kind(to, out.on), leaving_body(j, out, to))
    if to >= SUCCEEDED then
        job_ended(j)
    end
    return to
end
-- Of force: the lease is void from now on, whatever its worker still does.
function M.void(j, why)
    M.sign(M.lane(j.ln), SIGN_NONE, j.sq)
    M.leave(j, {on = E_CANCEL, count = 'nv', failure = F_CANCELLED, why = why, wait = 0})
end

-- late
-- ---- login sessions: store/sqlite/sessions.c ----

-- hu: held by hand until then, ha: since; hb and hw, by whom and why, are written by themselves.
local SESSION = fields_of({
    emit = 0, burst = 0, most = 0, tat = 0, used = 0, ok = 0, fails = 0, locked = 0, refused = 0, version = 0,
    expires = 0, hu = 0, ha = 0, created = 0, updated = 0, revision = 0, site = '', pool = '', name = ''
})
function M.session(id)
    local s, there = read(P .. 'ses:' .. id, SESSION)
    s.id, s.before = id, copy(s)
    return there and s or nil
end
function M.session_write(s)
    s.revision = s.revision + 1
    write(P .. 'ses:' .. s.id, s, s.before, SESSION)
    s.before = copy(s)
end
local function is_good(s, alone)
    return s.version > 0 and s.locked == 0 and (alone or s.refused == 0) and (s.expires == 0 or s.expires > now)
end
-- Of the id of a session: that one alone, also while the site is said to refuse it.
local function is_one(pool)
    return #pool == 30 and string.sub(pool, 1, 4) == 'ses_'
end
local function pool_of(site, pool)
    local all = {}
    if is_one(pool) then
        local s = M.session(pool)
        all[1] = s and s.site == site and s or nil
        return all
    end
    for i, member in ipairs(call('ZRANGE', P .. 'pool:' .. site .. ':' .. pool, 0, 255)) do
        all[i] = M.session(string.match(member, ':(.*)$'))
    end
    return all
end
function M.sessions_usable(site, pool)
    local n = 0
    for _, s in ipairs(pool_of(site, pool)) do
        n = n + (is_good(s, is_one(pool)) and 1 or 0)
    end
    return n
end
-- The one used longest ago of those that can be used now; or nil, and when the first can be (INF: nobody knows).
function M.session_pick(site, pool, operation)
    local best, open = nil, INF
    for _, s in ipairs(pool_of(site, pool)) do
        -- One that is taken may be used again when it is given back: the lane is looked at again then.
        if is_good(s, is_one(pool)) and call('SCARD', P .. 'su:' .. s.id) < s.most then
            local rests = call('HMGET', P .. 'sr:' .. s.id, operation, '*')
            local at = max(N(rests[1]), N(rests[2]), s.hu, start_at(s.tat, s.emit, s.burst))
            if at <= now and (not best or s.used < best.used) then
                best = s
            end
            open = min(open, at)
        end
    end
    return best, open
end
local HOUR = 3600000
function M.session_take(s, j)
    s.used, s.tat = now, s.emit > 0 and next_tat(s.tat, s.emit, s.burst) or 0
    M.session_write(s)
    j.se, j.cv = s.id, s.version
    call('SADD', P .. 'su:' .. s.id, j.id)
    local hour = floor(now / HOUR)
    call('HINCRBY', P .. 'so:' .. s.id, hour, 1)
    if call('HLEN', P .. 'so:' .. s.id) > 60 then
        for _, old in ipairs(call('HKEYS', P .. 'so:' .. s.id)) do
            if N(string.match(old, '%d+')) <= hour - 24 then
                call('HDEL', P .. 'so:' .. s.id, old)
            end
        end
    end
end
-- The lanes that wait for it, or for one of its pool, are looked at again: one may be used that could not.
function M.session_changed(s)
    for _, pool in ipairs({s.pool, s.id}) do
        for _, name in ipairs(call('SPOP', P .. 'parked:' .. s.site .. ':' .. pool, 100)) do
            local l = M.lane(name)
            if l then
                l.pk, l.touched = 0, true
            end
        end
    end
end
function M.park(l, site, pool, til)
    l.pk, l.touched = til, true
    call('SADD', P .. 'parked:' .. site .. ':' .. pool, l.name)
end
function M.session_release(j)
    call('SREM', P .. 'su:' .. j.se, j.id)
    local s = M.session(j.se)
    j.se, j.cv = '', 0
    if s then
        M.session_changed(s)
    end
end
local F_LOGIN, F_SESSION, F_LIMITED, F_BLOCKED = 6, 7, 8, 9
local function rest(s, operation, til)
    local key = P .. 'sr:' .. s.id
    local all = call('HGETALL', key)
    for i = 1, #all, 2 do
        if N(all[i + 1]) <= now then
            call('HDEL', key, all[i])
        end
    end
    call('HSET', key, operation, I(max(til, N(call('HGET', key, operation)))))
end
-- How the attempt ended. Returns whether it had a session, the id of one that the site refuses from now on, and whether
-- the pool has others then.
function M.session_note(j, failure, about_target, against, rest_ms, why)
    local s = j.se ~= '' and M.session(j.se)
    if not s then
        return false
    end
    local fixed, lost, others = M.fixed(j.id), nil, false
    local operation, alone = fixed[7], fixed[6] == s.id -- alone: it wanted this one, not one of a pool
    if failure == 0 or about_target then
        s.ok, s.fails = now, 0
        if alone then
            s.refused = 0
            call('HDEL', P .. 'ses:' .. s.id, 'refusal')
        end
        M.session_write(s)
    elseif against then
        s.fails, s.updated = s.fails + 1, now
        M.session_write(s)
    end
    if failure == F_LIMITED then
        rest(s, operation, now + rest_ms)
    elseif failure == F_BLOCKED then
        rest(s, '*', now + 900000)
    elseif failure == F_SESSION or failure == F_LOGIN then
        -- Unless other cookies came meanwhile: those are another login.
        if s.version == j.cv then
            s.refused, s.updated, lost = now, now, s.id
            call('HSET', P .. 'ses:' .. s.id, 'refusal', why ~= '' and string.sub(why, 1, 239) or 'the site refused it')
            M.session_write(s)
        end
        -- With other cookies it is another one.
        others = alone and not lost or not alone and M.sessions_usable(s.site, s.pool) > 0
    end
    return true, lost, others
end

-- late
-- ---- ended jobs come back, or go ----

-- Jobs of batches that are to come, of a hash of tokens: those that do come in (batch_pieces.lua). Asked once in a script: what changes
-- it asks no more.
local coming = {}
local function coming_of(key)
    if not coming[key] then
        local n, all, tokens = 0, call('HGETALL', key), {}
        for i = 1, #all, 2 do
            tokens[#tokens + 1] = all[i]
        end
        for i, at in ipairs(#tokens > 0 and call('ZMSCORE', P .. 'bcoming', unpack(tokens)) or {}) do
            n = n + (at and max(N(all[2 * i]), 0) or 0)
        end
        coming[key] = n
    end
    return coming[key]
end
function M.coming_in(l)
    return l.cm + coming_of(l.key .. ':c')
end
-- nil: it has no depth, or is not there.
function M.deep_lane(name)
    local l = M.lane(name)
    return l and M.settings(l).depth > 0 and l or nil
end
-- more: that are about to come.
function M.is_full(more)
    return M.count(BLOCKED) + M.count(SCHEDULED) + M.count(READY) + meta.cm + coming_of(P .. 'bwait') + (more or 0) >= READY_MAX
end
-- The lane has as many waiting jobs as it may, without so many that make way.
function M.is_deep(l, less)
    local depth = M.settings(l).depth
    return depth > 0 and M.waiting_in(l) + M.coming_in(l) - less >= depth
end
-- late
-- What it answers, as replay.lua does.
function M.replay(j, reset)
    if j.st < DEAD then
        return {R_STATE, j.st}
    end
    local l, f, was = M.lane(j.ln), M.fixed(j.id), j.st
    local live = j.uk ~= '' and (M.live(l.te, j.uk, false) or M.live(l.te, j.uk, true))
    if live then
        return {R_TAKEN, live.id, live.st}
    elseif meta.mode == DRAINING or meta.mode == MAINTENANCE then
        return {R_MODE, meta.mode}
    elseif l.co == 1 then
        return {R_CLOSED, l.name}
    elseif M.is_full() then
        return {R_FULL}
    elseif M.is_deep(l, 0) then
        return {R_FULL, M.settings(l).depth, l.name}
    elseif f[6] ~= '' and M.sessions_usable(f[1], f[6]) == 0 then
        return {R_SESSION, f[1], f[6]}
    end
    if j.ba ~= '' then
        call('ZREM', P .. 'b:' .. j.ba .. ':t', j.id) -- it is in no row (batches.lua)
    end
    leave_state(j)
    j.rk, j.ra, j.ge, j.fb, j.cb, j.rb = 0, now, j.ge + 1, j.nf, j.nc, j.nr
    j.ov, j.de, j.cq, j.fl, j.ve, j.en, j.fa, j.rv = 0, 0, 0, 0, 0, 0, 0, j.rv + 1
    call('HDEL', P .. 't:' .. j.id, 'wh', reset and 'cu' or '')
    enter_state(j, READY, l)
    point(j)
    M.event(j, 'job.replayed', '{"state":"ready","was":"' .. STATES[was] .. '","generation":' .. I(j.ge) .. ',"reset":' ..
            (reset and 'true' or 'false') .. ',"have":' .. I(j.ha) .. '}')
    return {R_OK, was, j.ge}
end
-- late
-- The job is gone at once; what the archive has of it follows.
function M.forget(j)
    leave_state(j)
    if j.sf ~= '' then
        call('SREM', P .. 'sh:' .. j.sf, j.id)
        M.unneeded(j.sf)
    end
    if j.wk ~= '' then
        call('ZREM', P .. 'wa:' .. j.wk, j.id)
    end
    if j.uk ~= '' then
        call('ZREM', M.results_of(tenant_of(j), j.uk), j.id)
    end
    local counted = M.child_gone(j)
    if call('EXISTS', P .. 'jf:' .. j.id) == 1 then
        call('ZADD', P .. 'fjobs', now, j.id)
    end
    call('ZADD', P .. 'gone', now, j.id) -- before: what the archive has of it goes, whatever happens here
    call('UNLINK', j.key, P .. 'p:' .. j.id, P .. 't:' .. j.id, P .. 'e:' .. j.id)
    if counted then
        call('HDEL', counted, 'g:' .. j.id)
    end
    j.gone = true
end

-- late
-- ---- runs of schedules: scripts/schedules.lua ----

-- The run that the job is of has ended with it, whatever ended it; rs: "schedule number".
function M.run_ended(j)
    local id, n = string.match(j.rs, '^(%S+) (%d+)$')
    local key = P .. 'sd:' .. id
    local packed = call('HGET', key .. ':r', n)
    local run = packed and cmsgpack.unpack(packed)
    if not run or run.state ~= 1 then
        return
    end
    run.state, run.ended, run.job_state, run.found = 2, j.fa, j.st, j.ha
    call('HSET', key .. ':r', n, cmsgpack.pack(run))
    call('ZREM', key .. ':l', n)
    call('ZADD', key .. ':f', n, n)
    call('ZADD', P .. 'sdw' .. min(N(call('HGET', key, 'ki')), 1), 0, id)
end
-- late
-- Its worker hears of it with its next heartbeat. why: {text, the same as JSON}
function M.ask_to_stop(j, grace, why)
    if j.cq == 1 then
        return
    end
    j.cq, j.rv = 1, j.rv + 1
    if grace > 0 then
        j.sb = now + grace
        call('ZADD', P .. 'stop', j.sb, j.member)
    end
    M.event(j, 'job.stopping', '{"state":"active"' .. (grace > 0 and ',"grace_ms":' .. I(grace) or '') ..
            (why[1] ~= '' and ',"why":' .. why[2] or '') .. '}')
end
