-- Appends records to a stream, each once, in one atomic step.
-- KEYS[1]: the stream; KEYS[2..]: for each record, where it is remembered that it was appended.
-- ARGV: about how many records the stream keeps, for how many seconds a record is remembered, then (id, body) for each.
for i = 2, #KEYS do
    if redis.call('EXISTS', KEYS[i]) == 0 then
        local at = 2 * i - 1
        redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'id', ARGV[at], 'body', ARGV[at + 1])
        redis.call('SET', KEYS[i], '', 'EX', ARGV[2])
    end
end
return #KEYS - 1
