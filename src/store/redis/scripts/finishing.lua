-- finishing.lua - an attempt has ended: part of the scripts that are told so, behind ends.lua.
-- late
local function sign_of(j, failure, budget, a)
    if budget == B_RELEASE or budget == B_CRASH then
        return SIGN_NONE
    elseif failure == 0 or a[14] == '1' or j.pg == 1 then
        return OK
    end
    return a[15] == '1' and SIGN_BAD or SIGN_NONE
end
-- Lines "created_ms id", newest first: the job's own, then those known before; the first line is the newest time.
local function move_mark(j, posts)
    local f = M.fixed(j.id)
    local key = P .. 'mk:' .. table.concat({f[1], f[2], f[3], f[5]}, '\n')
    local lines, seen, newest, bytes, lead = {}, {}, 0, 0, true
    local function add(text, has_first)
        local first = has_first
        for line in string.gmatch(text, '[^\n]+') do
            local ms, id = string.match(line, '^(%-?%d+) ?(.*)$')
            newest = max(newest, min(N(ms), now))
            if not first and id ~= '' and not seen[id] and #lines < 200 and #id <= 600 and bytes + #line < 49000 then
                seen[id], bytes = true, bytes + #line + 1
                lines[#lines + 1] = line
            end
            first = false
        end
    end
    add(posts, false)
    add(call('HGET', key, 'posts') or '', true)
    if #lines > 0 then
        call('HSET', key, 'posts', I(newest) .. '\n' .. table.concat(lines, '\n') .. '\n', 'at', I(now))
        call('ZADD', P .. 'marks', now, key)
    end
end
-- What attempts took together: core/usage.c.
local function usage_add(sum, more)
    local had, all = {}, {}
    for n in string.gmatch(sum, '%S+') do
        had[#had + 1] = N(n)
    end
    for n in string.gmatch(more, '%S+') do
        local i = #all + 1
        local a, b = had[i] or -1, N(n)
        all[i] = I((i == 2 or min(a, b) < 0) and max(a, b) or a + b)
    end
    return table.concat(all, ' ')
end
local function look_at(a)
    local j = M.held(a[1], a[2])
    if j then
        local fixed = a[3] ~= '0' or a[6] == '1' or j.mk > 0 or j.se ~= ''
        M.sound_indexes(j.ln, N(a[3]) == 0 and 'e' or 'es')
        M.sound_results(M.lane(j.ln).te, N(a[3]) == 0 and j.wk or '', N(a[3]) == 0 and j.uk or '')
        return M.sound(j, fixed, a[10] ~= '' or a[12] ~= '' or j.fe > 1 or j.mk == 2 or M.is_awaited(j.id))
    end
    return nil, {R_STALE}
end
-- a: what finish.lua is asked. Answers as that does, and whether something was changed.
function M.finish(a)
    local j, reply = M.look(look_at, a)
    if not j then
        return reply, false
    end
    local failure, budget, overridden, verdict = N(a[3]), N(a[5]), a[6] == '1', N(a[7])
    local well = failure == 0 and not overridden
    local brought = well and (j.mk == 2 or (j.mk == 1 and verdict == 1))
    local behind, wanted = j.wb > 0 and a[16] ~= '1', brought and a[18] ~= '1'
    if behind or wanted then
        return {R_FIRST, j.ep, j.fe, j.nb, behind and 1 or 0, wanted and 1 or 0, j.co}, false
    end
    local out = {failure = failure, failure_name = a[4], verdict = well and verdict or 0, end_reason = N(a[8]), end_name = a[9],
                 why = {a[10], a[11]}, words = a[19], report = a[12], usage = a[22], wait = 0,
                 retry = a[23]}
    j.ug = a[21] ~= '' and usage_add(j.ug, a[21]) or j.ug
    local hint = min(N(a[13]), 86400000)
    if well then
        out.on, out.count = E_DONE, 'nk'
    else
        M.charge(j, budget, hint, out)
    end
    local noted, lost, others
    if j.se ~= '' then
        noted, lost, others = M.session_note(j, overridden and F_CANCELLED or failure, not overridden and a[14] == '1',
                                             not overridden and a[20] == '1', hint > 0 and hint or out.wait, a[10])
    end
    local requests = string.match(a[21], '^%S+ %S+ %S+ (%d+)')
    if noted and requests then
        call('HINCRBY', P .. 'so:' .. j.se, 'r' .. I(floor(now / 3600000)), requests)
    end
    -- It was the session that the site limited or refused: the job is due again at once.
    if noted then
        out.wait = out.on == E_THROTTLE and 0 or out.wait
        others = others or (failure == 8 and j.pg == 1)
        if others and out.on == E_GIVE_UP then
            M.charge(j, B_RELEASE, 0, out)
        elseif lost then
            out.failure, out.failure_name = 7, 'session_invalid'
        end
    end
    local l = M.lane(j.ln)
    if budget == B_THROTTLE and not noted then
        local til = now + (hint > 0 and hint or out.wait)
        M.pace_down(l, til)
        l.bu, l.touched = max(l.bu, til), true
    end
    local trips = l.tr
    M.sign(l, sign_of(j, failure, budget, a), j.sq)
    if brought then
        move_mark(j, a[17])
    end
    j.wb = 0
    local state = M.leave(j, out)
    local tripped = l.tr > trips
    return M.shortened({R_OK, state, state == SCHEDULED and out.wait or 0, tripped and l.bt or 0, tripped and l.name or '', lost or ''}), true
end
