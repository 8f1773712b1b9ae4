-- The record of a session id: one text a session, read by lease-record.ts, too.
--   +<user> <started in ms> <node> <details>   a lease; node and details may be empty
--   -<user> <reason>                           an id that has ended
-- Gives  LEASE_MARK and ENDED_MARK, the first characters; LEASE_RECORD, a pattern that captures
--        user, started, node and where the details begin
local LEASE_MARK = '+'
local ENDED_MARK = '-'
local LEASE_RECORD = '^%+(%S+) (%d+) (%S*) ()'
