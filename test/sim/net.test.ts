import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Simulation, simulate } from '../../src/lib/sim/world.ts'
import type { Connection } from '../../src/lib/world.ts'

async function pair(machine: Simulation): Promise<{ near: Connection; far: Connection }> {
  let far: Connection | null = null
  const listener = await machine.net.listen({ host: '127.0.0.1', port: 0 }, (connection) => (far = connection))
  const near = await machine.net.connect(listener.at)
  await listener.close()
  return { near, far: far! }
}

test('bytes arrive in order, in pieces of any size', async () => {
  let pieces = 0
  for (let seed = 0; seed < 20; seed++) {
    const machine = simulate(seed)
    await machine.run(async () => {
      const { near, far } = await pair(machine)
      const got: Buffer[] = []
      far.onBytes((bytes) => void got.push(Buffer.from(bytes)))
      const sent = Array.from({ length: 20 }, (_, i) => Buffer.alloc(i * 37, i))
      for (const bytes of sent) {
        near.write([bytes])
        if (machine.random.chance(0.5)) await machine.clock.sleep(1)
      }
      const closed = new Promise<Error | null>((resolve) => far.onClose(resolve))
      near.end()
      assert.equal(await closed, null)
      assert.deepEqual(Buffer.concat(got), Buffer.concat(sent))
      pieces += got.length
    })
  }
  assert.ok(pieces > 150, `${pieces} pieces`)
})

test('bytes go to the room that is offered; what was sent is told; a piece is nobody’s after the call', async () => {
  const machine = simulate(3)
  await machine.run(async () => {
    const { near, far } = await pair(machine)
    const room = Buffer.alloc(1000)
    const kept: Uint8Array[] = []
    let filled = 0
    let bytes = 0
    far.onBytes(
      (piece) => {
        bytes += piece.length
        if (piece.buffer === room.buffer && piece.byteOffset >= room.byteOffset) filled += piece.length
        else kept.push(piece)
      },
      () => (bytes > 0 && filled < room.length ? room.subarray(filled) : null),
    )
    let sent = 0
    near.write([Buffer.alloc(100, 1)], () => sent++)
    assert.equal(sent, 0)
    await machine.clock.sleep(100)
    assert.equal(sent, 1)
    near.write([Buffer.alloc(1500, 2)])
    await machine.clock.sleep(100)
    assert.deepEqual([bytes, filled], [1600, 1000])
    assert.ok(room.every((byte) => byte === 2))
    assert.ok(kept.every((piece) => piece.every((byte) => byte === 0xdb)))
  })
})

test('a peer that pauses makes the writer wait, and drain comes when it reads on', async () => {
  const machine = simulate(1)
  await machine.run(async () => {
    const { near, far } = await pair(machine)
    let bytes = 0
    far.onBytes((piece) => (bytes += piece.length))
    far.pause()
    assert.equal(near.write([Buffer.alloc(100_000)]), false)
    await machine.clock.sleep(100)
    assert.equal(bytes, 0)
    assert.equal(near.backlogBytes, 100_000)
    const drained = new Promise<void>((resolve) => near.onDrain(resolve))
    far.resume()
    await drained
    await machine.clock.sleep(100)
    assert.equal(bytes, 100_000)
    assert.equal(near.backlogBytes, 0)
  })
})

test('a cut is heard at both ends', async () => {
  const machine = simulate(1)
  await machine.run(async () => {
    const { near, far } = await pair(machine)
    const heard: string[] = []
    near.onClose((error) => void heard.push(`near ${error?.message.slice(0, 10)}`))
    far.onClose((error) => void heard.push(`far ${error?.message.slice(0, 10)}`))
    machine.net.cut()
    assert.deepEqual(heard.sort(), ['far ECONNRESET', 'near ECONNRESET'])
    assert.equal(machine.net.connections.length, 0)
  })
})

test('nobody listens where nobody listens, and a port is taken once', async () => {
  const machine = simulate(1)
  await machine.run(async () => {
    await assert.rejects(machine.net.connect({ host: '127.0.0.1', port: 1 }), { code: 'ECONNREFUSED' })
    const listener = await machine.net.listen({ host: '127.0.0.1', port: 9092 }, () => {})
    await assert.rejects(
      machine.net.listen(listener.at, () => {}),
      { code: 'EADDRINUSE' },
    )
    await listener.close()
    await machine.net.listen(listener.at, () => {})
  })
})

test('an HTTP request reaches the address it was given, and keeps so much of the answer', async () => {
  const machine = simulate(1)
  await machine.run(async () => {
    machine.net.serveHttp({ host: '10.0.0.1', port: 443 }, (request) => ({
      status: 200,
      headers: { host: new URL(request.url).host },
      body: Buffer.from('a long answer'),
    }))
    const request = {
      method: 'POST',
      url: 'https://example.org/hook',
      headers: {},
      body: Buffer.from('x'),
      answerBytesMax: 6,
    }
    const answer = await machine.net.request(request, '10.0.0.1', new AbortController().signal)
    assert.deepEqual([answer.status, Buffer.from(answer.body).toString()], [200, 'a long'])
    await assert.rejects(machine.net.request(request, '10.0.0.2', new AbortController().signal), {
      code: 'ECONNREFUSED',
    })
  })
})

test('the same seed gives the same trace, another one another', async () => {
  const run = async (seed: number): Promise<string> => {
    const machine = simulate(seed)
    await machine.run(async () => {
      const { near, far } = await pair(machine)
      far.onBytes((bytes) => void far.write([Buffer.from(bytes)]))
      for (let i = 0; i < 20; i++) near.write([machine.random.bytes(100)])
      await machine.clock.sleep(100)
      machine.disk.open('/f', 'write').write([machine.random.bytes(10)], 0)
    })
    return machine.trace()
  }
  assert.equal(await run(7), await run(7))
  assert.notEqual(await run(7), await run(8))
})
