-- The record of a session id: one text a session, read by lease-record.ts, too.
--   +<user> <started in ms> <node> <attempt><!> <details>   a lease
--   -<user>|<attempt>@<node> <reason>                       an id that has ended
-- Node, attempt and details may be empty, and so may the user of an id that has ended. The `!`
-- marks an emergency session. Behind the details, on a line of their own, stand the ids of the
-- sessions that were ended to make room for this one. An attempt that is not there is 0, and then
-- the space behind it is not there either: so were records written before there were attempts.
-- The `@<node>` of an end is there only where a caller that is bound to this node ended an id that
-- was not known: such an end holds for sessions of this node only.
-- Gives  LEASE_MARK and ENDED_MARK, the first characters; LEASE_RECORD, a pattern that captures
--        user, started, node, where the rest begins, attempt and `!`; ENDED_RECORD, a pattern that
--        captures user, attempt and node
local LEASE_MARK = '+'
local ENDED_MARK = '-'
local LEASE_RECORD = '^%+(%S+) (%d+) (%S*) ()(%d*)(!?)'
local ENDED_RECORD = '^%-([^%s|]*)|?(%d*)@?(%S*)'
