/** What survives the death of the process: subscriptions, acknowledgements, leases, snapshots, schemas. SIGKILL each time. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Calls, GrpcClient, textOf } from '../gateway/pubsub/fixture.ts'
import { startMillrace } from './setup/index.ts'

test('after a kill everything is as it was answered', { timeout: 120_000 }, async () => {
  const data = mkdtempSync(join(tmpdir(), 'millrace-pubsub-'))
  const args = ['--listen', 'pubsub=127.0.0.1:0']
  let millrace = await startMillrace({ data, args })
  let client = new GrpcClient(millrace.listen['pubsub']!)
  let calls = new Calls(client)
  const restart = async (): Promise<void> => {
    await millrace.kill('SIGKILL')
    client.close()
    millrace = await startMillrace({ data, args })
    client = new GrpcClient(millrace.listen['pubsub']!)
    calls = new Calls(client)
  }
  try {
    await calls.topic('orders', { labels: new Map([['team', 'a']]) })
    await calls.subscription('plain', 'orders', { retainAckedMessages: true, filter: 'NOT attributes:skip' })
    await calls.subscription('exact', 'orders', { enableExactlyOnceDelivery: true, ackDeadlineSeconds: 600 })
    await calls.publish('orders', 'a', 'b', 'c')
    const plain = await calls.pull('plain')
    await calls.acknowledge('plain', plain[0]!.ackId)
    const exact = await calls.pull('exact', 2)
    await calls.acknowledge('exact', exact[0]!.ackId)
    await calls.snapshot('moment', 'plain')
    await restart()

    // Acknowledged is gone; what was out and promised exactly once is out still, for whoever has its id.
    assert.deepEqual((await calls.pull('exact')).map(textOf), ['c'])
    await calls.acknowledge('exact', exact[1]!.ackId)
    await assert.rejects(calls.acknowledge('exact', exact[1]!.ackId), { status: 9 })
    // Without that promise it comes again, and an acknowledgement from before counts.
    await calls.acknowledge('plain', plain[1]!.ackId)
    assert.deepEqual((await calls.pull('plain')).map(textOf), ['c'])
    await restart()

    await calls.seek('plain', { snapshot: 'projects/p/snapshots/moment' })
    assert.deepEqual((await calls.pull('plain')).map(textOf), ['b', 'c'])
    await calls.publish('orders', { data: Buffer.from('no'), attributes: new Map([['skip', '']]) }, 'd')
    assert.deepEqual((await calls.pull('plain')).map(textOf), ['d'])
    // The other one of the two that are out is done with; this one's lock is kept.
    assert.deepEqual((await calls.pull('exact')).map(textOf), ['no', 'd'])
    assert.deepEqual(await calls.pull('exact', 10, true), [])
  } finally {
    client.close()
    await millrace.kill('SIGKILL')
    rmSync(data, { recursive: true, force: true })
  }
})
