-- speaking.lua - what a worker says while it has a job: part of the scripts that hear it. a: what lease.lua is asked.
-- late
local function look_at(a)
    local j = M.held(a[1], a[2])
    if j then
        return j, (a[3] == 'look' or a[3] == 'write') and M.fixed(j.id)[1] or ''
    end
    return nil, {R_STALE}
end
function M.speak(a)
    local j, said = M.look(look_at, a)
    if not j then
        return said, false
    end
    if a[3] == 'started' then
        j.sd, j.rv = 1, j.rv + 1
    elseif a[3] == 'heartbeat' then
        j.le, j.su = now + LEASE, 0
        j.he = j.ep < meta.le and meta.le or j.he
        put(P .. 'act', j.member, j.le)
    elseif a[3] == 'write' and N(a[4]) == j.nb then
        j.wb = j.nb + 1
    end
    return {R_OK, j.cq, j.ep, j.fe, j.nb, j.ha, j.us, j.li, j.co, said}, true
end
