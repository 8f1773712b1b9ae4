/** Makes requests from templates, which are split into their fixed and changing parts once. */
import type { LoadOptions } from './load-types.ts'

type Part = string | typeof NUMBER | typeof USER
const NUMBER = Symbol('number')
const USER = Symbol('user')

/** Which numbers and users are filled in, and after how many passes the requests end. */
export type Numbering = Pick<LoadOptions, 'users' | 'firstNumber' | 'numbers'>

/** Makes requests: one pass through the templates after another, shared among all connections. */
export class RequestMaker {
  #templates: Part[][]
  #numbering: Numbering
  #begun = 0

  constructor (templates: string[], numbering: Numbering) {
    this.#templates = templates.map(parts)
    this.#numbering = numbering
  }

  /** Passes begun so far. */
  get begun (): number {
    return this.#begun
  }

  /** Whole passes, each with a number of its own. */
  * passes (): Generator<string, undefined> {
    const { users, firstNumber, numbers } = this.#numbering
    while (this.#begun < numbers) {
      const n = firstNumber + this.#begun++
      const number = String(n).padStart(10, '0')
      const user = String(n % users).padStart(8, '0')
      for (const template of this.#templates) {
        let request = ''
        for (const part of template) {
          request += part === NUMBER ? number : part === USER ? user : (part as string)
        }
        yield request
      }
    }
  }
}

function parts (template: string): Part[] {
  return template
    .split(/(\{[nu]\})/)
    .map((part) => (part === '{n}' ? NUMBER : part === '{u}' ? USER : part))
}
