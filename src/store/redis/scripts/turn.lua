#!lua flags=allow-oom
-- turn.lua - what several workers say and ask at one moment: what is read and written once, they share.
-- ARGV of each: 'reserve', 8, what reserve.lua is asked; 'finish', 22, what finish.lua is asked; 'speak', 4, what lease.lua is asked
-- Reply: {R_OK, {reply}, ...}: in their order, as those scripts answer; {R_ALONE}: nothing was done of it, it is to be asked alone
-- with ends.lua, take.lua, batches.lua, reserving.lua, finishing.lua, speaking.lua
M.gather(true)
local replies, some, leased, at = {R_OK}, false, {}, 1
local before = call('HGET', P .. 'leased', NODE)
while at <= #A do
    local verb, n = A[at], N(A[at + 1])
    local reply, changed = M[verb]({unpack(A, at + 2, at + 1 + n)}, before)
    if verb == 'reserve' and reply[1] == R_OK then
        leased[#leased + 1] = reply[2][1] .. ' ' .. A[at + 3]
    end
    replies[#replies + 1], some, at = reply, some or changed, at + 2 + n
end
if #leased > 0 then
    call('HSET', P .. 'leased', NODE, table.concat(leased, '\n'))
end
if not some then
    replies[#replies + 1] = {}
    return replies
end
return done(unpack(replies))
