-- Until when the sessions of a user have to have begun that were ended all at once:
--   <ordinary ones, in ms> <emergency sessions, too, in ms>        0 for none
-- Gives  USER_END, a pattern that captures both
local USER_END = '^(%d+) (%d+)$'
