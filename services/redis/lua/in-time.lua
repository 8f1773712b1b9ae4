-- Refuses a write that is carried out so late that its caller has given it up: a Redis that hung
-- would otherwise keep it when it goes on, over what was written since. A write comes late, too,
-- where the clock of Redis was set forward, and nobody knows it yet: records have expired by it
-- whose sessions are up. By how much it comes late tells one from the other.
-- Needs  now, deadline: until when it may be carried out, by the clock of Redis; '' for any time
if deadline ~= '' and now > tonumber(deadline) then
  return redis.error_reply(
    string.format('LATE by %d ms: the deadline of this write has passed', now - tonumber(deadline))
  )
end
