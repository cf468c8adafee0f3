/** Data folders as earlier programs wrote them. `MILLRACE_WRITE_FIXTURE=1` makes those that are not there yet. */
import assert from 'node:assert/strict'
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { type Simulation, simulate } from '../../src/lib/sim/world.ts'
import type { Offset } from '../../src/lib/brand.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { batchCrc, placeBatch, readBatchHeader } from '../../src/store/batch-header.ts'
import { dataFormat } from '../../src/store/meta.ts'
import { openStore } from '../../src/store/open.ts'
import { batch, config, fill, inTemporary, readAll } from './support.ts'

const orders = 'orders~5b0a3b5e-6a0e-4a8e-9d7f-0f2c6f7c1a11'
const fixture = (kind: string): string => new URL(`../fixtures/format-1/${kind}`, import.meta.url).pathname
const segmented = { ...config, segmentBytes: 4000 }
const stamped = { ...config, timestampType: 'log-append-time' as const }
const timeMs = 1_700_000_000_000

async function write(machine: Simulation, isClean: boolean): Promise<void> {
  const store = await openStore({ world: machine, dir: '/data' })
  const log = store.partition(`${orders}/0`, segmented)
  await fill(log, 40, timeMs)
  await log.trim(10 as Offset)
  await log.saveSnapshot('state', 60 as Offset, Buffer.from('a snapshot'))
  const other = store.partition(`${orders}/1`, stamped)
  other.append(batch(1, timeMs))
  await other.whenDurable(other.end)
  if (isClean) return store.close()
  const last = machine.disk.paths('/data').findLast((path) => path.includes('/0/') && path.endsWith('.log'))!
  const file = machine.disk.open(last, 'write')
  const torn = batch(3, timeMs)
  placeBatch(torn, 120, 0)
  file.write([torn.subarray(0, 200)], file.size())
  file.close()
}

for (const kind of ['clean', 'killed'] as const) {
  if (process.env['MILLRACE_WRITE_FIXTURE'] === '1' && !existsSync(fixture(kind)))
    test(`writes the fixture of format ${dataFormat}: ${kind}`, async () => {
      const machine = simulate(1)
      await machine.run(() => write(machine, kind === 'clean'))
      for (const path of machine.disk.paths('/data')) {
        const to = fixture(kind) + path.slice('/data'.length)
        mkdirSync(to.slice(0, to.lastIndexOf('/')), { recursive: true })
        writeFileSync(to, machine.disk.contents(path))
      }
    })

  test(`a data folder of format 1 opens: ${kind}`, () =>
    inTemporary(async ({ dir }) => {
      cpSync(fixture(kind), dir, { recursive: true })
      const store = await openStore({ world: realWorld(), dir })
      assert.match(store.instanceId, /^[0-9a-f-]{36}$/)
      assert.equal(store.recovery.clean, kind === 'clean')
      assert.equal(store.recovery.torn.length, kind === 'clean' ? 0 : 1)
      assert.deepEqual(store.recovery.damaged, [])
      assert.deepEqual(store.partitions(), [`${orders}/0`, `${orders}/1`])
      const log = store.partition(`${orders}/0`, segmented)
      assert.deepEqual([log.start, log.end, log.durable], [10, 120, 120])
      assert.equal(log.leaderEpoch, kind === 'clean' ? 0 : 1)
      const batches = await readAll(log)
      assert.equal(batches.length, 37)
      for (const [i, bytes] of batches.entries()) {
        const header = readBatchHeader(bytes)
        assert.equal(header.baseOffset, 9 + 3 * i)
        assert.equal(header.crc, batchCrc(bytes))
        assert.equal(header.maxTimeMs, timeMs + 3 + i + 2)
      }
      assert.equal(log.findTime(timeMs + 30), 84)
      assert.deepEqual(log.largestTime(), { offset: 117, timeMs: timeMs + 41 })
      const snapshot = log.loadSnapshot('state')!
      assert.deepEqual([snapshot.at, Buffer.from(snapshot.bytes).toString()], [60, 'a snapshot'])
      const other = store.partition(`${orders}/1`, stamped)
      assert.equal(readBatchHeader((await readAll(other))[0]!).attributes & 0x08, 0x08)
      await fill(log, 5)
      await store.close()
    }))
}
