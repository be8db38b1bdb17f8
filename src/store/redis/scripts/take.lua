-- take.lua - a job comes in, or it is said why not: part of the scripts that make jobs, behind ends.lua.
-- a: what accept.lua is asked. Answers as that does, and whether there is a new job; if not, nothing was written.
function M.take(a)
    local id, tenant, lane_name, unique, work = a[1], a[2], a[6], a[21], a[23]
    local accepted = N(a[30]) > 0 and min(N(a[30]), now) -- by a node, while this store was away: that stands
    local KEY_MS = 259200000
    local request = a[19] ~= '' and P .. 'idem:' .. tenant .. ':' .. a[19]
    local was = request and call('GET', request)
    if was then
        local hash_before, at, job = string.match(was, '^(%x+)|(%d+)|(.*)$')
        if now - N(at) <= KEY_MS then
            if hash_before ~= a[20] then
                return {R_BODY}
            end
            return {R_OK, job, 1, 0, 0, 0}
        end
    end
    local l = M.lane(lane_name)
    if not accepted and (meta.mode == DRAINING or meta.mode == MAINTENANCE) then
        return {R_MODE, meta.mode}
    elseif not accepted and l and l.co == 1 then
        return {R_CLOSED}
    elseif M.job(id) or call('ZSCORE', P .. 'gone', id) then
        return {R_STATE}
    end

    -- core/unique.c
    local replaces, leader, how
    if unique ~= '' then
        local live, successor = M.live(tenant, unique, false), M.live(tenant, unique, true)
        if not live then
            live, successor = successor, nil
        end
        local mode = N(a[22])
        local runs = live and live.st == ACTIVE
        if live and mode == 1 then
            return {R_TAKEN, live.id, live.st}
        elseif live and (mode == 0 or (mode == 2 and runs) or (mode == 3 and not runs)) then
            return {R_OK, live.id, 0, 1, live.st, 0}
        elseif live and mode == 2 then
            replaces = live
        elseif live then
            leader, how, replaces = live, WAITS_AFTER, successor
        end
    end

    local function latest_answer()
        local top = call('ZREVRANGE', P .. 'wa:' .. work, 0, 0)[1]
        local j = top and M.job(top)
        return j and j.st == SUCCEEDED and j or nil
    end
    local answer, source
    if work ~= '' and not leader then
        local fresh, stale = N(a[25]), N(a[26])
        local from = (fresh > 0 or stale > 0) and latest_answer()
        if from then
            local failing = l and l.bs ~= CLOSED and (l.bs == HALF_OPEN or l.bt > now)
            local age = now - from.fa
            if fresh > 0 and age <= fresh then
                answer, source = from, 2
            elseif failing and stale > 0 and age <= stale then
                answer, source = from, 3
            end
        end
        if not answer and a[24] == '1' then
            leader, how = M.live_work(work), WAITS_SHARE
            if leader == replaces then -- it brings nothing
                leader = nil
            end
        end
    end
    if not accepted and M.is_full() then
        return {R_FULL}
    elseif not accepted and a[27] ~= '' and not answer and M.sessions_usable(a[28], a[27]) == 0 then
        return {R_SESSION}
    elseif not accepted and not l and call('ZCARD', P .. 'lanes') >= LANES_MAX then
        return {R_LANES}
    end

    l = M.lane_want(lane_name, {te = tenant, si = a[3], cl = N(a[4]), th = a[5]})
    if replaces then
        M.end_waiting(replaces, CANCELLED, {'a newer request took its place', '"a newer request took its place"'})
    end
    local j = M.job_new(id)
    j.ca, j.rv, j.li, j.co, j.pr, j.mk, j.nd, j.me = accepted or now, 1, N(a[8]), N(a[9]), N(a[10]), N(a[11]), N(a[12]), N(a[13])
    j.ra = N(a[14]) > 0 and N(a[14]) or accepted or now
    if a[29] == '1' then
        j.hr, j.ra = j.ra, INF
    end
    j.ov, j.de, j.am, j.sm = N(a[15]), N(a[16]), N(a[17]), N(a[18])
    j.mf, j.mc, j.mt, j.uk, j.wk = FAIL_MAX, CRASH_MAX, THROTTLE_MAX, unique, work
    call('SET', P .. 'p:' .. id, a[7])
    if leader then
        M.wait_for(j, leader, how)
    end
    M.accept(j, leader and BLOCKED or j.ra > now and SCHEDULED or READY, l)
    if request then
        call('SET', request, a[20] .. '|' .. I(now) .. '|' .. id, 'PX', KEY_MS)
    end
    M.event(j)
    if answer then
        M.answer(j, answer, source)
    end
    return {R_OK, id, 0, 0, j.st, source or 0}, true
end
