/** The record of what was done: every change of it is evident, and it waits for a log that cannot be written. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../src/lib/fault.ts'
import { silent } from '../../src/lib/logger.ts'
import { decodeBatch } from '../../src/log/batch.ts'
import type { LocalLog } from '../../src/log/local/local-log.ts'
import { openLocalLog } from '../../src/log/local/open.ts'
import type { Log } from '../../src/log/log.ts'
import { TopicAudit } from '../../src/security/audit.ts'
import { AuditChain, AuditCheck } from '../../src/security/audit-chain.ts'
import { anonymous } from '../../src/security/principal.ts'
import { simulate } from '../../src/lib/sim/world.ts'

const checked = (values: readonly (Uint8Array | null)[]): string[] => {
  const check = new AuditCheck()
  values.forEach((value, offset) => check.add(offset, value))
  return check.problems
}
const entries = (from: number, to: number): object[] =>
  Array.from({ length: to - from }, (_, i) => ({ action: 'CreateTopics', of: from + i }))
function written(chain: AuditChain, from: number, to: number): Buffer[] {
  const { values, accepted } = chain.link(entries(from, to))
  accepted()
  return values
}

test('runs follow each other, several write at once, and what was repeated is no change', () => {
  const one = new AuditChain('one', null)
  const first = [...written(one, 0, 3), ...written(one, 3, 5)]
  const two = new AuditChain('two', first[4]!)
  const three = new AuditChain('three', first[4]!)
  const rest = [written(two, 5, 7), written(three, 7, 8), written(two, 8, 9), written(one, 9, 10)].flat()
  assert.deepEqual(checked([...first, ...rest]), [])
  assert.deepEqual(checked([...first, first[3]!, first[4]!, ...rest]), [])
})

test('what could not be written is linked again', () => {
  const chain = new AuditChain('one', null)
  const first = written(chain, 0, 2)
  chain.link(entries(2, 4))
  assert.deepEqual(checked([...first, ...written(chain, 2, 5)]), [])
})

test('a record that was changed, taken out, put in or moved is found, wherever it is', () => {
  const one = new AuditChain('one', null)
  const first = written(one, 0, 6)
  const all = [...first, ...written(new AuditChain('two', first[5]!), 6, 12)]
  const forged = written(new AuditChain('three', null), 0, 1)[0]!
  for (let i = 0; i < all.length; i++) {
    const isLast = i === all.length - 1
    const other = Buffer.from(all[i]!.toString().replace('CreateTopics', 'DeleteTopics'))
    if (!isLast) assert.notDeepEqual(checked(all.with(i, other)), [], `changed ${i}`)
    if (!isLast) assert.notDeepEqual(checked(all.toSpliced(i, 1)), [], `taken out ${i}`)
    if (i > 0) assert.notDeepEqual(checked(all.toSpliced(i, 0, forged)), [], `put in ${i}`)
    assert.notDeepEqual(checked(all.toSpliced(i, 0, Buffer.from('{"action":"none"}'))), [], `put in ${i}`)
    if (!isLast) assert.notDeepEqual(checked(all.with(i, all[i + 1]!).with(i + 1, all[i]!)), [], `moved ${i}`)
  }
  assert.notDeepEqual(checked(all.slice(3)), [], 'the beginning is cut off')
  assert.notDeepEqual(checked([...all, null]), [])
})

test('the newest hash tells of an end that was cut off', () => {
  const all = written(new AuditChain('one', null), 0, 4)
  const newest = (values: readonly Buffer[]): string => {
    const check = new AuditCheck()
    values.forEach((value, offset) => check.add(offset, value))
    return check.newest
  }
  assert.notEqual(newest(all), newest(all.slice(0, 3)))
})

const subject = { principal: anonymous, host: '127.0.0.1' }
async function contents(log: LocalLog): Promise<Uint8Array[]> {
  const partition = { topic: '_millrace_audit', index: 0 }
  const [chunk] = await log.reader().read([{ partition, offset: 0 as never }])
  assert.ok(chunk !== undefined && !('fault' in chunk))
  return chunk.batches.flatMap((batch) => decodeBatch(batch).map(({ value }) => value!))
}

test('what happens while the log cannot be written is written later, in its order; the next run goes on', async () => {
  const world = simulate(3)
  await world.run(async () => {
    const log = await openLocalLog({ world, dir: '/data' })
    let isBroken = true
    const said: string[] = []
    const logger = { ...silent, error: (message: string) => void said.push(message) }
    const broken = new Proxy<Log>(log, {
      get(of, name) {
        const member: unknown = Reflect.get(of, name)
        if (name !== 'writer' || !isBroken) return typeof member === 'function' ? member.bind(of) : member
        return () => ({ append: () => Promise.reject(new Fault('log.closed', { what: 'the log' })) })
      },
    })
    const note = (audit: TopicAudit, action: string): void =>
      audit.note({ subject, via: 'kafka', action, resources: ['topic:t'], outcome: 'done' })
    let runs = 0
    const open = (): TopicAudit =>
      new TopicAudit({ log: broken, clock: world.clock, logger, newChain: () => `run ${runs++}` })
    const first = open()
    note(first, 'A')
    note(first, 'B')
    await world.clock.sleep(3_500)
    isBroken = false
    note(first, 'C')
    await world.clock.sleep(2_000)
    await first.close()
    assert.deepEqual(said, ['audit: what was done cannot be written'])
    const second = open()
    note(second, 'D')
    await second.close()
    const values = await contents(log)
    const actions = values.map((value) => (JSON.parse(Buffer.from(value).toString()) as { action: string }).action)
    assert.deepEqual(actions, ['A', 'B', 'C', 'D'])
    assert.deepEqual(checked(values), [])
    await log.close()
  })
})
