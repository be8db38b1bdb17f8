#!lua flags=allow-oom
-- schedule_look.lua - schedules as they are.
-- ARGV: 'one', tenant, id or name, whether it is an id; 'of', id; 'list', tenant, name after which, how many; 'due', clock
-- (0 the wall's, 1 elapsed time), until, how many; 'runs', id, number before which (0: the newest), how many (at most 100).
-- 'ahead', where to go on, the wall's time, elapsed time: somebody set a clock, and what is settled beyond now is to be
-- looked at, a piece at a time.
-- Reply: {R_OK, {schedule}, ...}, {R_NONE}; {R_OK, {run}, ...}; {R_OK, where to go on ('0': the end)}
-- A schedule: {fields and values, id, live, pending, wake or '', {runs that ended and were not looked at: {number, fired,
-- state of the job, found}}, ticket, job}. A run: {number, slot, cause, state, why, slots, job, fired, ended, state of the job, found}
-- with schedules.lua
local reply, verbs = {R_OK}, {}
function verbs.one()
    local c = S.find(A[2], A[3], A[4] == '1')
    return c and {R_OK, S.view(c)} or {R_NONE}
end
function verbs.of()
    local c = S.of(A[2])
    return c and {R_OK, S.view(c)} or {R_NONE}
end
function verbs.list()
    local from = A[3] == '' and '-' or '(' .. A[3]
    for _, name in ipairs(call('ZRANGEBYLEX', P .. 'sdn:' .. A[2], from, '+', 'LIMIT', 0, N(A[4]))) do
        local c = S.find(A[2], name, false)
        reply[#reply + 1] = c and S.view(c) or nil
    end
    return reply
end
function verbs.due()
    local key = P .. 'sdw' .. A[2]
    for _, id in ipairs(call('ZRANGEBYSCORE', key, '-inf', A[3], 'LIMIT', 0, N(A[4]))) do
        local c = S.of(id)
        if c then
            reply[#reply + 1] = S.view(c)
        else
            call('ZREM', key, id)
        end
    end
    return reply
end
function verbs.runs()
    local c, before = S.of(A[2]), N(A[3]) > 0 and '(' .. A[3] or '+inf'
    if not c then
        return {R_NONE}
    end
    for _, n in ipairs(call('ZREVRANGEBYSCORE', c.key .. ':n', before, '-inf', 'LIMIT', 0, min(N(A[4]), 100))) do
        local run = S.run(c, n)
        reply[#reply + 1] = {N(n), run.slot, run.cause, run.state, run.why, run.slots, run.state == S.PENDING and '' or run.job,
                             run.at, run.ended, run.job_state, run.found}
    end
    return reply
end
function verbs.ahead()
    local page = call('HSCAN', P .. 'sdi', A[2], 'COUNT', STEP)
    for i = 2, #page[2], 2 do
        local c = S.of(page[2][i])
        if c and c.ls > N(c.ki == 0 and A[3] or A[4]) and call('ZSCORE', P .. 'sdw' .. min(c.ki, 1), c.id) then
            S.set_wake(c, 0)
        end
    end
    return {R_OK, page[1]}
end
return verbs[A[1]]()
