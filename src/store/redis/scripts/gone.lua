#!lua flags=allow-oom
-- gone.lua - the archive has nothing any more of these jobs. ARGV: ids. Reply: {R_OK, of how many it has}
-- Their ids stay for a while (retain.lua) under what is left to 0 of the time at which they went: a node that hands over a job from its spool, for it died
-- before it noted that this store had it, hears that it was here. An earlier version takes them for such that the archive has, and removes them.
if #A > 0 then
    local known = {}
    for i, since in ipairs(call('ZMSCORE', P .. 'gone', unpack(A))) do
        local at = N(since or 0)
        if at > 0 then
            known[#known + 1] = I(-at)
            known[#known + 1] = A[i]
        end
    end
    if #known > 0 then
        call('ZADD', P .. 'gone', 'XX', unpack(known))
    end
end
return {R_OK, call('ZCOUNT', P .. 'gone', 1, '+inf')}
