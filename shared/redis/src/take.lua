-- Grants the first size of an ask that the bucket has, in one atomic step.
-- KEYS[1]: where the TAT is. ARGV: now, ceiling, then (cells, cost) for each size, the largest first.
-- Answers {cells, TAT}. Instants are microseconds: exact in Lua's numbers, which have 53 bits.
local now, ceiling = tonumber(ARGV[1]), tonumber(ARGV[2])
local tat = now
local stored = redis.call('GET', KEYS[1])
if stored then
    stored = tonumber(stored)
    if not stored then
        return redis.error_reply('MALFORMED not a TAT')
    end
    tat = math.max(stored, now)
end
for i = 3, #ARGV, 2 do
    local after = tat + tonumber(ARGV[i + 1])
    if after <= ceiling then
        -- The server forgets full buckets; a minute later, so that a container whose clock is behind finds it still.
        local life = math.ceil((after - now) / 1000) + 60000
        redis.call('SET', KEYS[1], string.format('%.0f', after), 'PX', string.format('%.0f', life))
        return {tonumber(ARGV[i]), after}
    end
end
return {0, tat}
