/** The figures as a table, for people and for docs/performance.md. */
import type { Comparison, Figure } from './bench.ts'

/** What came of one comparison. */
export interface Outcome {
  comparison: Comparison
  figures: Figure[]
  tookS: number
}

/** Whether a figure meets its goal; empty for information. */
export function verdict ({ value, goal }: Figure): 'met' | 'short' | '' {
  if (goal === undefined) return ''
  return ('atLeast' in goal ? value >= goal.atLeast : value <= goal.atMost) ? 'met' : 'short'
}

/** One comparison for the terminal. */
export function asText ({ comparison, figures, tookS }: Outcome): string {
  const lines = figures.map((figure) => {
    const columns = [
      figure.what.padEnd(50),
      shown(figure).padStart(15),
      goalOf(figure).padEnd(12),
      verdict(figure).padEnd(5)
    ]
    return `  ${columns.join('  ')}  ${figure.note ?? ''}`.trimEnd()
  })
  return [`${comparison.name}: ${comparison.title} (${tookS.toFixed(0)} s)`, ...lines].join('\n')
}

/** The whole document. */
export function asMarkdown (outcomes: Outcome[], machine: string[], date: Date): string {
  const tables = outcomes.map(({ comparison, figures, tookS }) =>
    [
      `## ${comparison.title}`,
      '',
      '| figure | measured | goal | | behind it |',
      '| --- | ---: | --- | --- | --- |',
      ...figures.map(row),
      '',
      `Alone, in ${tookS.toFixed(0)} s: \`npm run bench -- --only ${comparison.name}\``
    ].join('\n')
  )
  return `${INTRODUCTION}
Taken on ${date.toISOString().slice(0, 10)}:

${machine.map((line) => `- ${line}`).join('\n')}

${tables.join('\n\n')}
`
}

function row (figure: Figure): string {
  return `| ${[figure.what, shown(figure), goalOf(figure), verdict(figure), figure.note?.trim() ?? ''].join(' | ')} |`
}

const INTRODUCTION = `<!-- Written by \`npm run bench\`; do not edit. -->
# Performance

\`npm run bench\` starts a Redis, the service and what it is compared with on this machine, puts load on them from another
process, writes this page and ends everything. \`npm run bench -- --quick\` takes about four minutes and only prints.

The figures are ratios of two things measured in turn in one run, A B A B, the median of the rounds. They carry over to
other machines; the absolute figures behind them do not. The **bare twin** is the service with nothing in it: the same
Fastify options, plugins, token check, routes and schemas, and handlers that answer a constant; a run stops where the two differ in
a plugin, an option, or the status, headers or length of an answer. CPU is what the operating system counted for the
process, the service and Redis apart. Load comes from one more process on the same cores. A goal that is missed is marked
**short**; \`rounds\` are the lowest and the highest round.

**Admission : bare twin** is read strictly. An admission is a POST that takes a slot, answered 201. It is measured alone, each
for another user, and not together with releases, which cost less. Releases, and both in turn, are shown beside it.
`

function shown ({ value, unit }: Figure): string {
  if (unit === undefined) return value.toFixed(2)
  const digits = Math.abs(value) >= 100 ? Math.round(value).toLocaleString('en') : value.toFixed(1)
  return `${digits} ${unit}`
}

function goalOf ({ goal, unit = '' }: Figure): string {
  if (goal === undefined) return ''
  const [sign, value] = 'atLeast' in goal ? ['≥', goal.atLeast] : ['≤', goal.atMost]
  return `${sign} ${value.toLocaleString('en')} ${unit}`.trim()
}
