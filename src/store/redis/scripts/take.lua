-- take.lua - a job comes in, or it is said why not: part of the scripts that make jobs, behind ends.lua.
-- a: what accept.lua is asked; besides a.after: it waits for this job, a.batch: it is of that batch, a.coming: it was accepted with
-- that one (batch_pieces.lua), a.by_node: likewise, by a node, while this store was away.

-- late
-- What is about to come in besides, while a whole batch is looked at before anything of it is written: ids, live and blocked
-- jobs by tenant and key (false: will be gone), lanes; how many jobs, of each lane too, how many lanes.
local ahead = {ids = {}, live = {}, blocked = {}, lanes = {}, deep = {}, jobs = 0, new_lanes = 0}
local function live_of(tenant, unique, blocked)
    local seen = (blocked and ahead.blocked or ahead.live)[tenant .. '\n' .. unique]
    if seen ~= nil then
        return seen or nil
    end
    return M.live(tenant, unique, blocked)
end
-- Of who read it: the one who has it since did not make it younger.
local function latest_answer(index)
    for _, id in ipairs(call('ZREVRANGE', index, 0, 3)) do -- a node of an earlier version deletes jobs and leaves them here
        local j = M.job(id)
        j = j and j.sf ~= '' and M.job(j.sf) or j
        if j and j.st == SUCCEEDED then
            return j
        end
    end
end
-- A result of its unique key, of a job that reads the same kind of records.
local function fresh_of(a)
    local from = N(a[35]) > 0 and a[21] ~= '' and latest_answer(M.results_of(a[2], a[21]))
    return from and from.co == N(a[9]) and now - from.fa <= N(a[35]) and from or nil
end
local DROPPED = 'its lane was full, and a job that starts before it came'
-- A node accepted it while this store was away, and it may not come in, or a newer one took its place: it ends at once, and says why.
local LOST, REPLACED = 'job %s, which has its unique key, was live when the queue was back', 'a newer request, job %s, took its place'
local function ended_by(words, id)
    local text = string.format(words, (string.gsub(id, '[^%w_.-]', '?')))
    return {text, '"' .. text .. '"'}
end
-- mode: core/unique.c; live, successor: that have its key. nil: it comes in.
local function ends_by(mode, live, successor, accepted)
    local runs = live.st == ACTIVE
    if mode < 2 or runs ~= (mode == 3) then
        return ended_by(LOST, live.id)
    end
    local other = successor or mode == 2 and live
    return other and other.ca > accepted and ended_by(REPLACED, other.id) or nil
end
-- This request was answered twice, for two nodes, or one that had lost the answer of this store, took it: the work is done once, and
-- both have what it brings.
local function twin_of(a, plan, twin)
    plan.request, a[21] = nil, ''
    if twin.st == SUCCEEDED then
        plan.answer, plan.source = twin, 1
    else
        plan.leader, plan.how = twin, WAITS_SHARE
    end
    return plan
end
-- lane_priority() in core/lane.c
local function priority_of(a, l)
    return a[34] == '1' and l and l.op > 0 and l.op - 1 or N(a[10])
end
-- A lane that is full takes a job only in the place of another one: of equal work, or of its last one; jobs of a batch drop
-- nobody. Whether it is not taken.
local function is_too_deep(a, plan, l)
    local ra, less = N(a[14]) > 0 and N(a[14]) or now, plan.replaces and plan.replaces.ln == a[6] and 1 or 0
    less = less + (plan.behind and plan.behind.ln == a[6] and 1 or 0)
    if not l or plan.answer or not M.is_deep(l, less - (ahead.deep[a[6]] or 0)) then
        return false
    end
    if M.settings(l).overflow == 1 and not plan.leader and not a.batch and a[29] ~= '1' and ra <= now then
        plan.drops = M.ready_job(l, 1, true)
    end
    return not plan.drops or plan.drops == plan.replaces or ra - priority_of(a, l) * AGING >= rank_of(plan.drops)
end
-- How the job comes in; or nil, and how accept.lua says why not, or that it is there. Of its own it writes nothing; what M.ready_job()
-- meets on the way and cannot start leaves its lane.
function M.plan(a)
    local id, tenant, lane_name, unique, work = a[1], a[2], a[6], a[21], a[23]
    local plan = {accepted = N(a[30]) > 0 and min(N(a[30]), now)} -- by a node, while this store was away: that stands
    local accepted, by_node = plan.accepted, plan.accepted and (not a.coming or a.by_node)
    plan.request = a[19] ~= '' and P .. 'idem:' .. tenant .. ':' .. a[19]
    local was = plan.request and (requests[plan.request] or call('GET', plan.request))
    if was then
        local hash_before, at, job = string.match(was, '^(%x+)|(%d+)|(.*)$')
        if now - N(at) <= KEY_MS then
            if hash_before ~= a[20] then
                return nil, {R_BODY}
            end
            local twin = by_node and not a.coming and job ~= id and M.job(job)
            if twin and not M.is_absent(id, by_node) then
                return nil, {R_STATE}
            elseif twin and twin.st <= SUCCEEDED then
                return twin_of(a, plan, twin)
            end
            return nil, {R_OK, job, 1, 0, 0, 0}
        end
    end
    local l = M.lane(lane_name)
    if not accepted and (meta.mode == DRAINING or meta.mode == MAINTENANCE) then
        return nil, {R_MODE, meta.mode}
    elseif not accepted and l and l.co == 1 then
        return nil, {R_CLOSED}
    elseif ahead.ids[id] or not M.is_absent(id, by_node) then
        return nil, {R_STATE}
    end

    if (a[33] or '') ~= '' then
        plan.ends = ended_by(REPLACED, a[33])
        return plan
    end
    -- core/unique.c
    if unique ~= '' then
        local live, successor = live_of(tenant, unique, false), live_of(tenant, unique, true)
        if not live then
            live, successor = successor, nil
        end
        local mode = N(a[22])
        local runs = live and live.st == ACTIVE
        if by_node and live then
            plan.ends = ends_by(mode, live, successor, accepted)
            if plan.ends then
                return plan
            end
        end
        local to_come = (not a.coming or by_node) and not live and call('HGET', P .. 'bkeys', tenant .. '\n' .. unique)
        to_come = to_come ~= id and to_come
        if to_come and accepted then -- that one may not come in for long, and this one stands
            plan.ends = ended_by(LOST, to_come)
            return plan
        elseif to_come then
            return nil, {R_COMING}
        elseif a.coming and live and not (mode == 2 and not runs) and not (mode == 3 and runs) then
            -- It began to run meanwhile, or an earlier version let it in: this one was accepted as well, and comes behind it.
            a[21], plan.leader, plan.how = '', live, WAITS_AFTER
        elseif live and mode == 1 then
            return nil, {R_TAKEN, live.id, live.st}
        elseif live and (mode == 0 or (mode == 2 and runs) or (mode == 3 and not runs)) then
            return nil, {R_OK, live.id, 0, 1, live.st, 0}
        elseif live and mode == 2 then
            plan.replaces, plan.behind = live, successor
        elseif live then
            plan.leader, plan.how, plan.replaces = live, WAITS_AFTER, successor
        end
    end

    plan.answer = not plan.leader and fresh_of(a) or nil
    plan.source = plan.answer and 2 or nil
    if work ~= '' and not plan.leader and not plan.answer then
        local fresh, stale = N(a[25]), N(a[26])
        local from = (fresh > 0 or stale > 0) and latest_answer(P .. 'wa:' .. work)
        if from then
            local failing = l and l.bs ~= CLOSED and (l.bs == HALF_OPEN or l.bt > now)
            local age = now - from.fa
            if fresh > 0 and age <= fresh then
                plan.answer, plan.source = from, 2
            elseif failing and stale > 0 and age <= stale then
                plan.answer, plan.source = from, 3
            end
        end
        if not plan.answer and a[24] == '1' and not a.after then
            plan.leader, plan.how = M.live_work(work), WAITS_SHARE
            if plan.leader == plan.replaces then -- it brings nothing
                plan.leader = nil
            end
        end
    end
    if a.after and not plan.leader and not plan.answer then
        plan.leader, plan.how = a.after, WAITS_AFTER
    end
    if accepted then
        return plan
    elseif M.is_full(ahead.jobs) then
        return nil, {R_FULL}
    elseif is_too_deep(a, plan, l) then
        return nil, {R_FULL, M.settings(l).depth, l.name}
    elseif a[27] ~= '' and not plan.answer and M.sessions_usable(a[28], a[27]) == 0 then
        return nil, {R_SESSION}
    elseif not l and not ahead.lanes[lane_name] and call('ZCARD', P .. 'lanes') + ahead.new_lanes >= LANES_MAX then
        return nil, {R_LANES}
    end
    return plan
end
-- What accept.lua is asked for one job. The last ones that are nothing or 0 are left out; here they are nothing.
local WORDS_OF_ONE = 35
local nothing
function M.words_of(packed)
    if not nothing then
        nothing = {__index = {}}
        for i = 1, WORDS_OF_ONE do
            nothing.__index[i] = ''
        end
    end
    return setmetatable(cmsgpack.unpack(packed), nothing)
end
-- It will come in: those behind it are looked at as if it were there.
function M.foresee(a, plan)
    local key = a[2] .. '\n' .. a[21]
    ahead.ids[a[1]] = true
    for _, gone in pairs({plan.replaces, plan.behind}) do
        (gone.st == BLOCKED and ahead.blocked or ahead.live)[key] = false
        ahead.jobs = ahead.jobs - 1
        ahead.deep[gone.ln] = (ahead.deep[gone.ln] or 0) - 1
    end
    if not plan.answer and not plan.ends then
        ahead.jobs = ahead.jobs + 1
        ahead.deep[a[6]] = (ahead.deep[a[6]] or 0) + 1
        if a[21] ~= '' then
            (plan.leader and ahead.blocked or ahead.live)[key] = {id = a[1], st = plan.leader and BLOCKED or READY, ln = a[6],
                                                                  ca = plan.accepted or now}
        end
    end
    if not ahead.lanes[a[6]] and not M.lane(a[6]) then
        ahead.lanes[a[6]], ahead.new_lanes = true, ahead.new_lanes + 1
    end
end
function M.forget_ahead()
    ahead = {ids = {}, live = {}, blocked = {}, lanes = {}, deep = {}, jobs = 0, new_lanes = 0}
end
local function make(a, plan)
    local id, accepted = a[1], plan.accepted
    local l = M.lane_want(a[6], {te = a[2], si = a[3], cl = N(a[4]), th = a[5]})
    if plan.behind then -- first: it would be let go on by the end of the other one
        M.end_waiting(plan.behind, CANCELLED, {'a newer request took its place', '"a newer request took its place"'})
    end
    if plan.replaces then
        M.end_waiting(plan.replaces, CANCELLED, {'a newer request took its place', '"a newer request took its place"'})
    end
    if plan.drops then
        M.end_waiting(plan.drops, CANCELLED, {DROPPED, '"' .. DROPPED .. '"'})
    end
    local starts, held = N(a[14]) > 0 and N(a[14]) or accepted or now, a[29] == '1'
    -- With all that is to come, so that the table is made once, of its size.
    local j = M.job_new({
        id = id, key = '', member = '', before = false, sq = 0, st = 0, ln = '', ec = 0, es = 0, as = 0, rv = 1, ca = accepted or now,
        ra = held and INF or starts, hr = held and starts or 0, li = N(a[8]), co = N(a[9]), pr = priority_of(a, l), mk = N(a[11]), nd = N(a[12]),
        me = N(a[13]), ov = N(a[15]), de = N(a[16]), am = N(a[17]), sm = N(a[18]), mf = N(a[31]) > 0 and N(a[31]) or FAIL_MAX, mc = CRASH_MAX, mt = THROTTLE_MAX,
        uk = a[21], wk = a[23], ba = a.batch or '', hk = a[32]
    })
    M.set_fixed(id, a[7])
    if plan.leader then
        M.wait_for(j, plan.leader, plan.how)
    end
    M.metered(l, 'a')
    local state = plan.leader and BLOCKED or j.ra > now and SCHEDULED or READY
    if plan.ends then
        M.enter_state(j, state, l) -- the key is another one's
    else
        M.accept(j, state, l)
    end
    if plan.request then
        requests[plan.request] = a[20] .. '|' .. I(now) .. '|' .. id
    end
    M.event(j)
    if plan.ends then
        M.end_waiting(j, CANCELLED, plan.ends)
    end
    if plan.answer then
        M.answer(j, plan.answer, plan.source)
    end
    return {R_OK, id, 0, 0, j.st, plan.source or 0}
end
-- The plan, and all besides that make() will write to.
local function look_at(a)
    local plan, reply = M.plan(a)
    if not plan then
        return nil, reply
    elseif not M.lane(a[6]) then
        M.tenant(a[2])
        M.site(a[3])
    end
    M.sound_indexes(a[6], (plan.answer or plan.ends) and 'es' or plan.leader and 'b' or (a[29] == '1' or N(a[14]) > now) and 's' or '')
    if plan.leader then
        call('ZCARD', P .. 'wt:' .. plan.leader.id)
    elseif plan.answer then
        M.sound_results(a[2], a[23], a[21])
    end
    for _, j in pairs({plan.replaces, plan.behind, plan.drops, (plan.answer or plan.ends) and {id = a[1], ln = a[6]}}) do
        M.sound(j, true, true)
    end
    return plan
end
-- Nothing came in; what left its lane because it cannot start stays out.
function M.keep_out()
    if M.strayed then
        M.flush()
    end
end
-- Answers as accept.lua does, and whether there is a new job; if not, nothing was written. safe: who meets foreign data is left.
function M.take(a, safe)
    local plan, reply = (safe and M.try or M.look)(look_at, a)
    if not plan then
        return reply, false
    end
    local inner = M.taking
    M.taking = true
    reply = make(a, plan)
    M.taking = inner
    return reply, true
end
