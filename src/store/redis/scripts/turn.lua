#!lua flags=allow-oom
-- turn.lua - what several workers say and ask at one moment: what is read and written once, they share.
-- ARGV: of each, packed: what reserve.lua, finish.lua or lease.lua is asked, and behind that 'reserve', 'finish' or 'speak'
-- Reply: {R_OK, {reply}, ...}: in their order, as those scripts answer; {R_ALONE}: nothing was done of it, it is to be asked alone
-- with ends.lua, take.lua, batches.lua, reserving.lua, finishing.lua, speaking.lua
M.gather(true)
local replies, some, leased = {R_OK}, false, {}
local before = call('HGET', P .. 'leased', NODE)
local all, ends = {}, {}
for i, packed in ipairs(A) do
    all[i] = cmsgpack.unpack(packed)
    if all[i][#all[i]] == 'finish' then
        ends[#ends + 1] = all[i][1]
    end
end
M.note_alone(ends)
for _, a in ipairs(all) do
    local verb = a[#a]
    local reply, changed = M[verb](a, before)
    if verb == 'reserve' and reply[1] == R_OK then
        leased[#leased + 1] = reply[2][1] .. ' ' .. a[2]
    end
    replies[#replies + 1], some = reply, some or changed
end
if #leased > 0 then
    call('HSET', P .. 'leased', NODE, table.concat(leased, '\n'))
end
if not some then
    replies[#replies + 1] = {}
    return replies
end
return done(unpack(replies))
