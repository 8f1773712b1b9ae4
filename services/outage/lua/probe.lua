-- Shows that Redis serves, writes included, and tells one generation of data from the next: a Redis that was flushed,
-- or came back empty, has another.
-- KEYS  1 the generation of the data
-- ARGV  1 the generation to begin, where there is none
-- Returns the generation.
local generation = redis.call('GET', KEYS[1]) or ARGV[1]
redis.call('SET', KEYS[1], generation)
return generation
