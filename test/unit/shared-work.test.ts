/** Work that is shared: as many wait for it as a bound allows, and none who has gone. */
import t from 'tap'
import { SharedWork } from '../../services/util/shared-work.ts'

/** Shared work that takes steps when it is told to, and what has become of who waits for it. */
function start () {
  let finish = (_result: string) => {}
  let allGone = () => false
  let times = 0
  const work = new SharedWork<string>(async (isGone) => {
    times++
    allGone = isGone
    return await new Promise<string>((resolve) => (finish = resolve))
  })
  const ask = (isGone?: () => boolean) => {
    const asked = { outcome: '' }
    work.result(isGone).then(
      (result) => (asked.outcome = result),
      ({ code }: { code: string }) => (asked.outcome = code)
    )
    return asked
  }
  return { ask, finish: (text: string) => finish(text), step: () => allGone(), times: () => times }
}
const soon = () => new Promise((resolve) => setImmediate(resolve))

t.test('fifty wait for one piece of work; those who have gone make room', async (t) => {
  const { ask, finish, step, times } = start()
  let hungUp = false
  const patient = ask()
  const others = Array.from({ length: 49 }, () => ask(() => hungUp))
  const late = ask()
  await soon()
  t.equal(late.outcome, 'too_many_requests')
  t.equal(others[0]?.outcome, '')
  hungUp = true
  const next = ask()
  await soon()
  t.strictSame([...new Set(others.map(({ outcome }) => outcome))], ['too_many_requests'])
  t.equal(step(), false)
  const leaver = ask(() => true)
  t.equal(step(), false)
  await soon()
  t.equal(leaver.outcome, 'too_many_requests', 'nothing waits for its end')
  finish('done')
  await soon()
  t.strictSame([patient, next].map(({ outcome }) => outcome), ['done', 'done'])
  t.equal(times(), 1)
})

t.test('work that all have left is begun anew for the next', async (t) => {
  const { ask, finish, step, times } = start()
  ask(() => true)
  await soon()
  t.equal(step(), true)
  const next = ask()
  await soon()
  t.equal(times(), 2)
  finish('again')
  await soon()
  t.equal(next.outcome, 'again')
})
