-- When something happened, for comparison: the switch writes seconds or an RFC 3339 text.
-- Gives  instant(json): seconds since the epoch, of a JSON number or of a text behind its first
--        quotation mark; nil where it is neither
local function instant (json)
  local year, month, day, hour, minute, second, zone = string.match(
    json,
    '^"(%d%d%d%d)-(%d%d)-(%d%d)[Tt ](%d%d):(%d%d):(%d%d%.?%d*)([Zz+-]%d?%d?:?%d?%d?)$'
  )
  if not year then return string.match(json, '^%d') and tonumber(json) end
  local sign, zone_hours, zone_minutes = string.match(zone, '^([+-])(%d%d):(%d%d)$')
  if not sign and #zone > 1 then return nil end
  local offset = ((zone_hours or 0) * 60 + (zone_minutes or 0)) * (sign == '-' and -1 or 1)
  -- A year that begins in March has its leap day at its end. 719,469 days before the epoch began
  -- the March of the year 0, day 0.
  if tonumber(month) < 3 then year, month = year - 1, month + 12 end
  local leap_days = math.floor(year / 4) - math.floor(year / 100) + math.floor(year / 400)
  local days = year * 365 + leap_days + math.floor((153 * (month - 3) + 2) / 5) + day - 719469
  return ((days * 24 + hour) * 60 + minute - offset) * 60 + second
end
