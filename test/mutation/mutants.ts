import type { ScriptName } from '../../services/redis/scripts.ts'
import { type Mutant, acquire } from './acquire-mutants.ts'
import { release } from './release-mutants.ts'
import { renew } from './renew-mutants.ts'

const count: Mutant[] = [
  ['expired leases count', "'(' .. now, '+inf'", "'-inf', '+inf'"],
  ['external sessions do not count', '{ leases, external,', '{ leases, 0,'],
  [
    'external sessions that are leases count twice',
    'external = external - 1',
    'external = external'
  ],
  ['temporary limits do not count', "limits[2] or ''", "''"],
  ['own limits do not count', "limits[1] or ''", "''"]
]

const setBar: Mutant[] = [
  ['a bar that is over bars', 'if ends_ms <= now then', 'if false then'],
  ['every bar is over', 'if ends_ms <= now then', 'if true then'],
  ['a bar does not end', ", 'PXAT', ends_ms)", ')'],
  ['a bar without an end is none', "redis.call('SET', bar_key, bar)\n", '']
]

const purge: Mutant[] = [
  ['nothing goes', "'-inf', now", "'-inf', '-inf'"],
  ['everything goes', "'-inf', now", "'-inf', '+inf'"]
]

const reportNode: Mutant[] = [
  ['lower epochs are taken', 'tonumber(last_epoch) > tonumber(epoch)', 'false'],
  [
    'higher epochs are refused',
    'tonumber(last_epoch) > tonumber(epoch)',
    'tonumber(last_epoch) < tonumber(epoch)'
  ],
  [
    'the same epoch is refused',
    'tonumber(last_epoch) > tonumber(epoch)',
    'tonumber(last_epoch) >= tonumber(epoch)'
  ],
  ['a lower epoch is refused for ever', ' and since_ms < tonumber(last_ttl)', ''],
  [
    'a lower epoch is refused for its own time to live',
    'since_ms < tonumber(last_ttl)',
    'now - seen < tonumber(ttl_ms)'
  ],
  ['the last epoch stays', 'local noted = epoch ..', 'local noted = (last_epoch or epoch) ..'],
  [
    'the time of the first report stays',
    "string.format('%d', now) .. ' ' .. ttl_ms",
    "(seen or string.format('%d', now)) .. ' ' .. ttl_ms"
  ],
  [
    'the time to live of the first report stays',
    "string.format('%d', now) .. ' ' .. ttl_ms",
    "string.format('%d', now) .. ' ' .. (last_ttl or ttl_ms)"
  ],
  ['a node is never forgotten', ", 'PX', kept_ms)", ')']
]

const reportPart: Mutant[] = [
  ['a part of another epoch is taken', 'its_epoch ~= epoch or its_parts', 'its_parts'],
  [
    'a part of a report of more parts is taken',
    'if its_epoch ~= epoch or its_parts ~= parts then',
    'if its_epoch ~= epoch then'
  ],
  ['a part may be left out', 'if tonumber(last) == part - 1 then', 'if last then'],
  ['the same part is refused', 'elseif tonumber(last) == part then', 'elseif false then'],
  ['the same part counts twice', 'before = tonumber(so_far_before)', 'before = tonumber(so_far)'],
  ['only the last part counts', 'before = tonumber(so_far)', 'before = 0'],
  ['only the last part tells the total', 'total = total or tonumber(its_total)', ''],
  ['a later total does not count', 'total or tonumber(its_total)', 'tonumber(its_total)'],
  ['the first part goes on with the last report', 'if part > 1 then', 'if true then'],
  ['a list is taken when its last part comes', 'first = tonumber(its_first)', ''],
  ['the age of a list does not count', 'now - age_ms', 'now'],
  ['a report is never forgotten', ", 'PX', kept_ms)", ')']
]

const sweepGhosts: Mutant[] = [
  ['sessions that are up go', '== 0 then ghosts', '== 1 then ghosts'],
  ['all sessions go', "redis.call('EXISTS', keys[i + 1]) == 0", 'true']
]

const setTemporaryLimit: Mutant[] = [
  ['the limit never expires', ", 'PX', duration_ms)", ')'],
  ['another limit is stored', 'local value = limit', "local value = '1'"]
]

const updatePolicy: Mutant[] = [
  ['a key of another type stays', "redis.call('DEL', key)", "redis.call('EXISTS', key)"]
]

/**
 * Mistakes in each script, its shared pieces included. Each changes what the script does, and a
 * check must see it.
 */
export const mutants: Partial<Record<ScriptName, Mutant[]>> = {
  acquire,
  renew,
  release,
  count,
  purge,
  reportNode,
  reportPart,
  sweepGhosts,
  setTemporaryLimit,
  setBar,
  updatePolicy
}
