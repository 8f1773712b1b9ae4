/** Requests from templates: what is fixed is cut up once. */
import type { LoadOptions } from './load-types.ts'

type Part = string | typeof NUMBER | typeof USER
const NUMBER = Symbol('number')
const USER = Symbol('user')

/** One pass through the templates after another; every caller gets passes of its own. */
export function requestMaker (
  { templates, users, firstNumber }: Pick<LoadOptions, 'templates' | 'users' | 'firstNumber'>
): () => Iterator<string, never> {
  const cut = templates.map(parts)
  let next = firstNumber
  return function * () {
    for (;;) {
      const n = next++
      const number = String(n).padStart(10, '0')
      const user = String(n % users).padStart(8, '0')
      for (const template of cut) {
        let request = ''
        for (const part of template) request += part === NUMBER ? number : part === USER ? user : part as string
        yield request
      }
    }
  }
}

function parts (template: string): Part[] {
  return template.split(/(\{[nu]\})/).map((part) => part === '{n}' ? NUMBER : part === '{u}' ? USER : part)
}
