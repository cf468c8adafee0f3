/** Who is in a transaction when the disk fills up comes out of it: what ends one may take of the reserve. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asFault } from '../../../src/lib/fault.ts'
import { limits } from '../../../src/lib/limits.ts'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import type { Disk } from '../../../src/lib/world.ts'
import { decodeBatch } from '../../../src/log/batch.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { batchesOf } from '../../../src/log/local/system-log.ts'
import type { Partition } from '../../../src/log/log.ts'
import { until } from '../../gateway/kafka/local-gateway.ts'
import { at, batch, memoryLog, off, withTopic } from './support.ts'

const reserve = limits.diskReserveBytes
/** A guard that is full asks the disk again after this. */
const askedAgainMs = 300
const left = at('left')
const right = at('right')

async function outcome(act: Promise<unknown>): Promise<string> {
  try {
    await act
    return 'done'
  } catch (error) {
    return asFault(error).code
  }
}
function client(log: LocalLog, transactionalId: string, bumps: boolean) {
  let identity = { producerId: -1, epoch: -1 }
  const sequences = new Map<Partition, number>()
  const me = () => ({ transactionalId, ...identity })
  return {
    async init() {
      identity = await log.transactions.init({ transactionalId, timeoutMs: 60_000, expected: null })
      sequences.clear()
    },
    async write(partition: Partition, value: string): Promise<void> {
      if (!bumps) await log.transactions.addPartitions(me(), [partition], false)
      const sequence = sequences.get(partition) ?? 0
      const records = batch([value], { ...identity, sequence, transactional: true })
      const entries = [{ partition, records }]
      const [answer] = await log.produce({ acks: 'all', transactionalId, joins: bumps, entries })
      if ('fault' in answer!) throw answer.fault
      sequences.set(partition, sequence + 1)
    },
    async end(commit: boolean): Promise<void> {
      identity = await log.transactions.end(me(), { commit, bumps })
      if (bumps) sequences.clear()
    },
  }
}
async function committed(log: LocalLog, partition: Partition): Promise<string[]> {
  const entries = [{ partition, offset: off(0), maxBytes: 1e6, leaderEpoch: -1 }]
  const asked = { entries, minBytes: 0, maxBytes: 1e6, maxWaitMs: 0, committedOnly: true }
  const [answer] = await log.fetch(asked, new AbortController().signal)
  const aborted = new Set(answer!.aborted.map(({ producerId }) => producerId))
  const values: string[] = []
  for (const bytes of batchesOf(answer!.records)) {
    const view = Buffer.from(bytes)
    const isControl = (view.readInt16BE(21) & 0x20) !== 0
    if (isControl || aborted.has(Number(view.readBigInt64BE(43)))) continue
    values.push(...decodeBatch(bytes).map(({ value }) => Buffer.from(value!).toString()))
  }
  return values
}

for (const bumps of [true, false])
  test(`transactions that are open when the disk fills up are ended, none begun (${bumps ? 'bumping' : 'plain'} epochs)`, async () => {
    let freeBytes = 1e12
    const disk: Disk = Object.assign(memoryDisk(), { free: () => freeBytes })
    const log = await memoryLog({ world: { ...realWorld(), disk } })
    const leaves = async (bytes: number): Promise<void> => {
      freeBytes = bytes
      await new Promise((resolve) => setTimeout(resolve, askedAgainMs))
    }
    for (const { topic } of [left, right]) await withTopic(log, topic)
    const [commits, aborts, late, fenced] = ['commits', 'aborts', 'late', 'fenced'].map((id) => client(log, id, bumps))
    for (const one of [commits!, aborts!, late!, fenced!]) {
      await one.init()
      await one.write(left, 'left')
      await one.write(right, 'right')
    }
    await leaves(reserve - 1)
    assert.equal(await outcome(aborts!.write(left, 'more')), 'store.full')
    assert.equal(await outcome(aborts!.end(false)), 'done')
    assert.equal(await outcome(commits!.end(true)), 'done')
    assert.equal(await outcome(client(log, 'new', bumps).init()), 'store.full')
    // Another producer of the id takes over when there is space; what the former one has open ends at once.
    assert.equal(await outcome(client(log, 'fenced', bumps).init()), 'log.concurrent-transactions')
    await leaves(reserve / 3)
    assert.equal(await outcome(late!.end(true)), 'store.full', 'the rest is for making room')
    await leaves(reserve / 2)
    assert.equal(await outcome(late!.end(true)), 'done')
    for (const [partition, value] of [
      [left, 'left'],
      [right, 'right'],
    ] as const) {
      await until('markers', async () => {
        const [bounds] = await log.bounds([partition])
        return bounds!.stable === bounds!.end
      })
      assert.deepEqual(await committed(log, partition), [value, value])
    }
    await leaves(1e12)
    await until('markers are known to be durable', () => !log.transactions.describe('commits').state.startsWith('Prep'))
    await commits!.write(left, 'again')
    await commits!.end(true)
    await until('the last is over', async () => {
      const [bounds] = await log.bounds([left])
      return bounds!.stable === bounds!.end
    })
    assert.deepEqual(await committed(log, left), ['left', 'left', 'again'])
    await log.close()
  })
