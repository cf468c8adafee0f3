/** The pubsub sink at a library that keeps what is published. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fieldsOf } from '../../src/connect/definition.ts'
import type { SinkHost } from '../../src/connect/kind.ts'
import { openSink } from '../../src/connect/pubsub/sink.ts'
import { pubsub } from '../../src/connect/pubsub/spec.ts'
import { Settings } from '../../src/connect/settings.ts'
import { offset } from '../../src/lib/brand.ts'
import { silent } from '../../src/lib/logger.ts'
import { simulate } from '../../src/lib/sim/world.ts'
import type { Read } from '../../src/log/group-task.ts'

test('attributes that name a schema are left out, others that begin with goog are refused', async () => {
  const machine = simulate(7)
  const published: unknown[] = []
  class PubSub {
    topic(): object {
      return { publishMessage: (message: unknown) => Promise.resolve(published.push(message)) }
    }
    close(): Promise<void> {
      return Promise.resolve()
    }
  }
  await machine.run(async () => {
    const host: SinkHost = {
      ...{ world: machine, logger: silent, name: 'out', id: 'id', signal: new AbortController().signal },
      load: () => Promise.resolve({ PubSub }),
      partitionsOf: () => Promise.resolve(1),
    }
    const files = { read: () => '', refuses: () => null }
    const settings = new Settings(fieldsOf(pubsub, 'sink'), { topics: 'totals', project: 'p' }, files)
    const sink = await openSink(host, settings)
    const read = (at: number, ...names: string[]): Read => {
      const headers = names.map((name) => [name, Buffer.from('x')] as const)
      const record = { offset: offset(at), key: null, value: Buffer.from('{}'), headers, timeMs: 1 }
      return { partition: { topic: 'totals', index: 0 }, record } as unknown as Read
    }
    const refused = await sink.write(
      [
        read(0, 'googclient_schemaname', 'googclient_schemaencoding', 'googclient_schemarevisionid', 'kept'),
        read(2, 'googclient_traceparent'),
        read(1, 'google-made-up'),
      ],
      [],
      () => Promise.resolve(),
    )
    assert.deepEqual(
      refused.map((one) => [one.read.record.offset, one.fault.code]),
      [[1, 'connect.refused']],
    )
    const data = Buffer.from('{}')
    assert.deepEqual(published, [
      { data, attributes: { kept: 'x' } },
      { data, attributes: { googclient_traceparent: 'x' } },
    ])
    await sink.close()
  })
})
