import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Offset } from '../../src/lib/brand.ts'
import { BatchWriter, takeOver } from '../../src/log/batch.ts'
import type { Commits } from '../../src/log/commits.ts'
import type { Batch, Log } from '../../src/log/log.ts'
import { LogHost } from '../../src/log/remote/log-host.ts'

/** A batch of an engine's thread, as it arrives: what `put` did with it, and what is left of it then. */
async function handedOver(look: (batch: Batch) => void): Promise<Batch> {
  const writer = new BatchWriter(1)
  writer.key(3).raw(Buffer.from('key'))
  writer.value().raw(Buffer.alloc(10_000, 7))
  writer.end(false)
  const batch = Uint8Array.from(writer.done())
  let seen: Batch | null = null
  const commits: Pick<Commits, 'put'> = {
    put: async (entries) => {
      seen = entries[0]!.batch
      look(seen)
      return [{ offset: 0 as Offset, timeMs: -1 }]
    },
  }
  const none = { bytes: new Uint8Array(0), ends: new Float64Array(0) }
  const sent = { partitions: [{ topic: 't', index: 0 }], given: [{ batch, replaced: 0 }], batches: none }
  const log = { reader: () => ({}) } as unknown as Log
  await new LogHost(log, commits).methods().put(sent, [])
  return seen!
}
test('the memory of a batch that a log took over is given back when nobody holds it', async () => {
  const batch = await handedOver((one) => assert.equal(takeOver(one)?.replaced, 0))
  assert.equal(batch.length, 0)
})
test('it stays as long as somebody holds it', async () => {
  let release = (): void => {}
  const batch = await handedOver((one) => {
    const { lease } = takeOver(one)!
    lease!.hold()
    release = () => lease!.release()
  })
  assert.ok(batch.length > 10_000)
  release()
  assert.equal(batch.length, 0)
})
test('of a batch that no log took over nothing is given back: it may still be on its way', async () => {
  const batch = await handedOver(() => {})
  assert.ok(batch.length > 10_000 && batch.at(-2) === 7)
})
