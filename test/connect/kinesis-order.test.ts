/** The kinesis sink at a service that puts off records within a request, as the real one does when a shard is throttled. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fieldsOf } from '../../src/connect/definition.ts'
import type { SinkHost } from '../../src/connect/kind.ts'
import { openSink } from '../../src/connect/kinesis/sink.ts'
import { kinesis } from '../../src/connect/kinesis/spec.ts'
import { Settings } from '../../src/connect/settings.ts'
import { offset } from '../../src/lib/brand.ts'
import { silent } from '../../src/lib/logger.ts'
import { simulate } from '../../src/lib/sim/world.ts'
import type { Read } from '../../src/log/group-task.ts'

interface Put {
  readonly Data: Uint8Array
  readonly PartitionKey: string
}
class Throttling {
  readonly stored: string[] = []
  requests = 0
  /** The largest number of records of one request. */
  largest = 0
  readonly #chance: () => number
  constructor(chance: () => number) {
    this.#chance = chance
  }
  put(records: readonly Put[]): object {
    this.requests++
    this.largest = Math.max(this.largest, records.length)
    return {
      Records: records.map(({ Data, PartitionKey }) => {
        if (this.#chance() < 0.3) return { ErrorCode: 'ProvisionedThroughputExceededException', ErrorMessage: 'slow' }
        this.stored.push(`${PartitionKey} ${Buffer.from(Data).toString()}`)
        return { SequenceNumber: String(this.stored.length), ShardId: 's' }
      }),
    }
  }
}

async function carried(ordering: 'key' | 'none'): Promise<Throttling> {
  const machine = simulate(7)
  const service = new Throttling(() => machine.random.fraction())
  class PutRecordsCommand {
    readonly input: { readonly Records: readonly Put[] }
    constructor(input: { readonly Records: readonly Put[] }) {
      this.input = input
    }
  }
  class KinesisClient {
    send({ input }: PutRecordsCommand): Promise<object> {
      return Promise.resolve(service.put(input.Records))
    }
    destroy(): void {}
  }
  await machine.run(async () => {
    const host: SinkHost = {
      world: machine,
      logger: silent,
      name: 'out',
      id: 'id',
      signal: new AbortController().signal,
      load: () => Promise.resolve({ KinesisClient, PutRecordsCommand }),
      partitionsOf: () => Promise.resolve(1),
    }
    const files = { read: () => '', refuses: () => null }
    const settings = new Settings(
      fieldsOf(kinesis, 'sink'),
      { topics: 'totals', region: 'eu-central-1', ordering },
      files,
    )
    const sink = await openSink(host, settings)
    const read = Array.from({ length: 600 }, (_, i): Read => {
      const key = i % 3 === 0 ? null : Buffer.from(`k${i % 50}`)
      const record = { offset: offset(i), key, value: Buffer.from(String(i)), headers: [], timeMs: 1 }
      return { partition: { topic: 'totals', index: 0 }, record } as unknown as Read
    })
    assert.deepEqual(await sink.write(read, [], () => Promise.resolve()), [])
    await sink.close()
  })
  return service
}
const numbersOf = (stored: readonly string[], key: string): number[] =>
  stored.filter((one) => one.startsWith(`${key} `)).map((one) => Number(one.split(' ')[1]))
const inOrder = (numbers: readonly number[]): boolean => numbers.every((n, i) => i === 0 || n > numbers[i - 1]!)

test('whatever a request is put off of, each record comes once, and those of a key in their order', async () => {
  const { stored, largest } = await carried('key')
  assert.equal(stored.length, 600)
  for (let k = 0; k < 50; k++) assert.ok(inOrder(numbersOf(stored, `k${k}`)), `k${k}`)
  assert.ok(largest > 40, 'different keys share a request')
})

test('without that order requests are as large as they may be, and later ones overtake', async () => {
  const { stored, largest } = await carried('none')
  assert.equal(new Set(stored).size, 600)
  assert.equal(largest, 500)
  assert.ok(Array.from({ length: 50 }, (_, k) => numbersOf(stored, `k${k}`)).some((numbers) => !inOrder(numbers)))
})
