/** What the clients of `gateways-disk-full` were told is checked: a right run has no problems, each planted fault has its own. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { type Answer, Told, Writer, checkTopic, valueOf } from './full/side.ts'

/** What was acknowledged of ten values; every second is refused at first. */
async function written(told: Told, refusal: string): Promise<Writer> {
  const refused = new Set<string>()
  const send = async (ids: readonly string[]): Promise<readonly Answer[]> =>
    ids.map((id) => {
      if (!/[02468]$/.test(id) || refused.has(id)) return null
      refused.add(id)
      return refusal
    })
  const writer = new Writer('w', told, send, { atOnce: 10 })
  writer.start()
  while (writer.acknowledged.size < 10) await new Promise((resolve) => setTimeout(resolve, 5))
  await writer.stop()
  return writer
}
async function logOf(t: TestContext, values: readonly string[]): Promise<string> {
  const lines = values.map((text) => JSON.stringify({ value: { text } })).join('\n')
  const server = createServer((_, answer) => answer.end(lines)).listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}
async function problemsOf(t: TestContext, damage: (values: string[]) => void): Promise<readonly string[]> {
  const told = new Told(['later'])
  const writer = await written(told, 'later')
  const values = [...writer.acknowledged].map((number) => valueOf(`w/${number}`, 100).toString())
  damage(values)
  await checkTopic(await logOf(t, values), 'topic', { writers: [writer], told, isOnce: () => true })
  return told.problems
}

test('a run in which nothing is wrong has no problems', async (t) => {
  assert.deepEqual(await problemsOf(t, () => {}), [])
})
test('what was acknowledged and is lost, twice there, or torn is found', async (t) => {
  assert.match((await problemsOf(t, (values) => values.splice(3, 1)))[0]!, /was acknowledged and is not in topic/)
  assert.match((await problemsOf(t, (values) => values.push(values[3]!)))[0]!, /is in topic 2 times/)
  const torn = await problemsOf(t, (values) => void (values[3] = `${values[3]!.slice(0, 50)}${'\0'.repeat(50)}`))
  assert.match(torn[0]!, /torn/)
})
test('a refusal that a client would not send again, and a confirmation on a full disk, are found', async () => {
  const told = new Told(['later'])
  await written(told, 'never')
  assert.match(told.problems[0]!, /refused with never/)
  told.isToTheLastByte = true
  await told.mustRefuse('something', async () => null)
  assert.match(told.problems[1]!, /something was confirmed on a full disk/)
  await told.mustRefuse('something', async () => 'never')
  assert.match(told.problems[2]!, /something: never/)
})
test('a connection that is lost is a problem, but for a kill', async () => {
  const problems = async (isAway: boolean): Promise<number> => {
    const told = new Told([])
    let calls = 0
    const writer = new Writer('w', told, async (ids) => {
      if (calls++ === 0) throw new Error('gone')
      return ids.map(() => null)
    })
    told.away(isAway)
    writer.start()
    while (writer.acknowledged.size === 0) await new Promise((resolve) => setTimeout(resolve, 5))
    await writer.stop()
    return told.problems.length
  }
  assert.deepEqual([await problems(false), await problems(true)], [1, 0])
})
