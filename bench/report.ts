/** The figures as a table, for people and for docs/performance.md. */
import { verdict, type Figure, type Verdict } from './figure.ts'

/** What came of one comparison. */
export interface Outcome {
  comparison: { name: string; title: string }
  figures: Figure[]
  tookS: number
}

/** How many goals are met, short and not decided, as a sentence. */
export function summary (outcomes: Outcome[]): string {
  const verdicts = outcomes.flatMap(({ figures }) => figures.map(verdict))
  const count = (one: Verdict) => verdicts.filter((verdict) => verdict === one).length
  return `Goals: ${count('met')} met, ${count('short')} short, ${count('not decided')} not decided.`
}

/** One comparison for the terminal. */
export function asText ({ comparison, figures, tookS }: Outcome): string {
  const lines = figures.map((figure) => {
    const columns = [
      figure.what.padEnd(48),
      withUnit(figure).padStart(13),
      interval(figure).padEnd(15),
      goalOf(figure).padEnd(12),
      verdict(figure).padEnd(11)
    ]
    return `  ${columns.join('  ')}  ${figure.note ?? ''}`.trimEnd()
  })
  return [`${comparison.name}: ${comparison.title} (${tookS.toFixed(0)} s)`, ...lines].join('\n')
}

/** The whole document. */
export function asMarkdown (outcomes: Outcome[], conditions: string[], date: Date): string {
  return `${INTRODUCTION}
Taken on ${date.toISOString().slice(0, 10)}:

${conditions.map((line) => `- ${line}`).join('\n')}

${summary(outcomes)}

${outcomes.map(section).join('\n\n')}
`
}

function section ({ comparison: { name, title }, figures, tookS }: Outcome): string {
  const rows = figures.map((figure) => {
    const [goal, note] = [goalOf(figure), figure.note?.trim() ?? '']
    const columns = [figure.what, withUnit(figure), interval(figure), goal, verdict(figure), note]
    return `| ${columns.join(' | ')} |`
  })
  return [
    `## ${title}`,
    '',
    '| figure | measured | 95 % interval | goal | verdict | behind it |',
    '| --- | ---: | --- | --- | --- | --- |',
    ...rows,
    '',
    `By itself, in ${tookS.toFixed(0)} s: \`npm run bench -- --only ${name}\``
  ].join('\n')
}

const INTRODUCTION = `<!-- Written by \`npm run bench\`; do not edit. -->
# Performance

\`npm run bench\` starts a Redis, the service and what it is compared with on this machine, puts
load on them from another process, writes this page and stops everything. \`npm run bench --
--quick\` is for development: it takes a few minutes and only prints.

Most figures are ratios of two things that are measured in turn, round by round, in one run.
Ratios carry over to other machines; the absolute figures behind them do not.

**Interval and verdict.** Each round gives one ratio. The figure is their median; its interval
holds the true median with a confidence of at least 95 %. It is the interval of the sign test,
from the k-th lowest round to the k-th highest: it assumes nothing about how rounds are
distributed, and a round that a busy neighbour has spoilt does not widen it. A goal is **met** or
**short** only where the whole interval says so; otherwise it is **not decided**. What is counted
or measured only once has no interval.

**The bare twin** is the service with nothing in it: the same HTTP shell (\`shell.ts\`: Fastify's
options, plugins, token check, routes and schemas), with handlers that answer a constant. A run
stops where the two differ in the status, the headers or the length of an answer. CPU is what the
operating system counted for the process; that of Redis is shown apart. Load comes from one more
process on the same cores.

**Admission : bare twin** is meant strictly. An admission is a POST that takes a slot, answered
201. It is measured by itself, each for another user, and not together with releases, which cost
less.

What profiles say about where the time goes is in [profile.md](profile.md).
`

function withUnit (figure: Figure): string {
  return `${shown(figure.measured.value, figure.unit)} ${figure.unit ?? ''}`.trim()
}

function interval ({ measured: { low, high, rounds }, unit }: Figure): string {
  if (rounds === 1) return ''
  return Number.isFinite(low) ? `${shown(low, unit)} – ${shown(high, unit)}` : 'too few rounds'
}

function shown (value: number, unit?: string): string {
  const size = Math.abs(value)
  if (size >= 100) return Math.round(value).toLocaleString('en')
  return value.toFixed(unit === undefined || size < 10 ? 2 : 1)
}

function goalOf ({ goal, unit = '' }: Figure): string {
  if (goal === undefined) return ''
  const [sign, value] = 'atLeast' in goal ? ['≥', goal.atLeast] : ['≤', goal.atMost]
  return `${sign} ${value.toLocaleString('en')} ${unit}`.trim()
}
