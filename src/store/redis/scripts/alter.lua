-- alter.lua - a job that waits is changed, held, or let go (store/sqlite/change.c), or it is said why not: part of the scripts
-- that do so, behind ends.lua. a: what change.lua is asked. Answers as that does, and whether something was changed.
-- late
local LABELS_MOST, OPTIONS_MOST, PRIO_OF_LANE = 16, 65536, -2 -- core/labels.h, STORE_SPEC_MAX, CHANGE_PRIO_OF_LANE
-- The options with labels changed, and the labels: core/labels.h. nil: there would be too many.
local function labelled(options, change)
    local at, of, names = string.find(options, '"labels":{', 1, true), {}, {}
    local rest = string.gsub(string.sub(options, 1, (at or #options) - 1), ',$', '')
    for name, value in string.gmatch(at and string.sub(options, at + 9) or '', '"([^"]+)":("[^"]+")') do
        of[name] = value
    end
    for name in string.gmatch(change, '"([^"]+)":null') do
        of[name] = nil
    end
    for name, value in string.gmatch(change, '"([^"]+)":("[^"]+")') do
        of[name] = value
    end
    for name in pairs(of) do
        names[#names + 1] = name
    end
    if #names > LABELS_MOST then
        return nil
    end
    table.sort(names)
    for i, name in ipairs(names) do
        names[i] = '"' .. name .. '":' .. of[name]
    end
    local labels = '{' .. table.concat(names, ',') .. '}'
    rest = rest == '' and '{' or rest
    return rest .. (#names > 0 and (rest ~= '{' and ',' or '') .. '"labels":' .. labels or '') .. '}', labels
end
local function set_options(j, options)
    local parts = M.fixed(j.id)
    parts[4] = options
    for i, part in ipairs(parts) do
        parts[i] = #part .. ':' .. part
    end
    call('SET', P .. 'p:' .. j.id, table.concat(parts))
end
function M.alter(a)
    local j, rev, hold, prio, run, limit = M.job(a[1]), N(a[2]), N(a[3]), N(a[4]), N(a[5]), N(a[10])
    local options, labels, given = nil, nil, limit >= 0 or prio == PRIO_OF_LANE
    for i = 4, 9 do
        given = given or N(a[i]) >= 0
    end
    local only_labels = a[16] and a[16] ~= '' and not given and hold == 0
    if not j then
        return {R_NONE}
    elseif j.st >= ACTIVE and not only_labels then
        return {R_STATE, j.st}
    elseif limit > 0 and limit < j.ha then
        return {R_FULL, j.ha}
    elseif rev >= 0 and rev ~= j.rv then
        return {R_STALE, j.rv}
    end
    for _, id in ipairs((hold == 1 or limit >= 0) and call('ZRANGE', P .. 'wt:' .. j.id, 0, STEP - 1) or {}) do
        local w = M.job(id)
        if w and w.wh == WAITS_SHARE then
            return {R_TAKEN, id}
        end
    end
    if a[16] and a[16] ~= '' then
        options, labels = labelled(limit >= 0 and a[11] or M.fixed(j.id)[4], a[16])
        if not options then
            return {R_LANES}
        elseif #options > OPTIONS_MOST then
            return {R_BODY}
        end
        labels = ',"labels":' .. labels
    end
    local held, why = j.ra == INF, a[13] ~= '' and ',"why":' .. a[14] or ''
    if only_labels then
        set_options(j, options)
        j.rv = j.rv + 1
        M.event(j, a[15], '{"state":"' .. STATES[j.st] .. '"' .. labels .. why .. '}')
        return {R_OK}, true
    elseif not given and not options and (hold == 0 or held == (hold == 1)) then
        return {R_OK}
    end

    local to, holds = j.st, hold == 1 or (hold == 0 and held)
    local at = held and j.hr or j.st == READY and 0 or j.ra
    local moves = (hold ~= 0 and held ~= holds) or (run >= 0 and not (j.st == READY and run <= now))
    prio = prio == PRIO_OF_LANE and M.settings(M.lane(j.ln)).prio or prio
    if prio >= 0 then
        j.rk = j.rk ~= 0 and j.rk + (j.pr - prio) * AGING or 0
        j.pr = prio
    end
    if moves then
        at = run >= 0 and run or at
        local later = holds or at > now
        if to ~= BLOCKED then
            to = later and SCHEDULED or READY
        end
        j.hr, j.ra, j.rk = holds and at or 0, holds and INF or later and at or now, 0
    end
    -- When it gives up waiting: at its own time, or at its deadline, which may have been that time.
    local over, deadline = j.ov ~= j.de and j.ov or 0, N(a[7]) >= 0 and N(a[7]) or j.de
    over = N(a[6]) >= 0 and N(a[6]) or over
    over = (over == 0 or (deadline > 0 and deadline < over)) and deadline or over
    if over > 0 then
        call('ZADD', P .. 'over', over, j.member)
    elseif j.ov > 0 then
        call('ZREM', P .. 'over', j.member)
    end
    j.ov, j.de = over, deadline
    j.am, j.sm = N(a[8]) >= 0 and N(a[8]) or j.am, N(a[9]) >= 0 and N(a[9]) or j.sm
    if limit >= 0 or options then
        set_options(j, options or a[11])
    end
    if limit >= 0 then
        M.unpoint(j)
        j.li, j.wk = limit, a[12]
        M.point(j)
    end
    if to ~= j.st then
        M.move(j, to)
    else
        j.rv = j.rv + 1
        if to == READY then
            call('ZADD', P .. 'l:' .. j.ln .. ':' .. j.nd, rank_of(j), j.member)
        elseif to == SCHEDULED then
            call('ZADD', P .. 'sched', j.ra, j.member)
        end
    end
    M.event(j, a[15], '{"state":"' .. STATES[to] .. '","priority":' .. I(j.pr) .. ',"limit":' .. I(j.li) .. ',"held":' ..
            (holds and 'true' or 'false') .. (labels or '') .. why .. '}')
    return {R_OK}, true
end
