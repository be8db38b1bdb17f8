#!lua flags=allow-oom
-- gone.lua - the archive has nothing any more of these jobs. ARGV: ids. Reply: {R_OK, how many are left}
if #A > 0 then
    call('ZREM', P .. 'gone', unpack(A))
end
return {R_OK, call('ZCARD', P .. 'gone')}
