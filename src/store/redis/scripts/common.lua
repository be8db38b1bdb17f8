-- common.lua - what every script may use. KEYS[1] is the store's prefix.
local P = KEYS[1]
