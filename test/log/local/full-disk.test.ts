/** What still goes when intake has stopped for want of space: what makes space. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asFault } from '../../../src/lib/fault.ts'
import { limits } from '../../../src/lib/limits.ts'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import type { Disk } from '../../../src/lib/world.ts'
import { at, batch, memoryLog, off, produceOne, said, withTopic } from './support.ts'

const askedAgainMs = 300

async function withSpace() {
  let freeBytes = 1e12
  const disk: Disk = Object.assign(memoryDisk(), { free: () => freeBytes })
  const log = await memoryLog({ world: { ...realWorld(), disk } })
  const partition = await withTopic(log, 'big')
  await produceOne(log, partition, batch(['a']))
  const commit = async (): Promise<string> => {
    const offsets = [{ partition, offset: off(1), leaderEpoch: -1, metadata: '' }]
    const [fault] = await log.coordinator.commit({
      group: 'g',
      generation: -1,
      memberId: '',
      instanceId: null,
      offsets,
    })
    return fault?.code ?? 'done'
  }
  const done = async (act: Promise<unknown>): Promise<string> => {
    try {
      const [fault] = [await act].flat()
      return fault == null ? 'done' : asFault(fault).code
    } catch (error) {
      return asFault(error).code
    }
  }
  return {
    log,
    /** What is answered with so many bytes free. */
    async answers(bytes: number) {
      freeBytes = bytes
      await new Promise((resolve) => setTimeout(resolve, askedAgainMs))
      return {
        produce: String(said(await produceOne(log, partition, batch(['b'])))),
        commit: await commit(),
        configure: await done(log.topics.alter('big', { config: { 'retention.ms': '1000' } })),
        trim: await done(log.topics.trim([{ partition: at('big'), offset: off(1) }])),
      }
    },
    remove: () => done(log.topics.remove(['big'])),
  }
}

test('when records are refused for want of space, positions and settings are taken, and topics deleted', async () => {
  const { log, answers, remove } = await withSpace()
  const reserve = limits.diskReserveBytes
  const full = 'store.full'
  assert.deepEqual(await answers(1e12), { produce: '1', commit: 'done', configure: 'done', trim: 'done' })
  assert.deepEqual(await answers(reserve - 1), { produce: full, commit: 'done', configure: 'done', trim: 'done' })
  assert.deepEqual(await answers(reserve / 2 - 1), { produce: full, commit: full, configure: 'done', trim: 'done' })
  assert.deepEqual(await answers(reserve / 4 - 1), { produce: full, commit: full, configure: full, trim: 'done' })
  assert.equal(await remove(), full)
  await answers(reserve / 4 + 100_000)
  assert.equal(await remove(), 'done')
  assert.equal(await log.topics.get('big'), null)
  await log.close()
})
