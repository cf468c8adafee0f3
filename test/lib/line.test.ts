import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { MessageChannel } from 'node:worker_threads'
import { Fault } from '../../src/lib/fault.ts'
import { Line, type Methods, Transfer, portOf } from '../../src/lib/line.ts'

/** A line to what serves `own`. */
function lineTo<M extends Methods>(own: M) {
  const { port1, port2 } = new MessageChannel()
  const there = new Line(portOf(port2), own)
  const line = new Line<M>(portOf(port1), {})
  return { line, there, [Symbol.dispose]: () => port1.close() }
}

test('a call gets the value, the buffers, or the fault', async () => {
  using pair = lineTo({
    add: (a: number, b: number) => a + b,
    bytes: () => {
      const bytes = new Uint8Array([1, 2, 3])
      return new Transfer(bytes, [bytes.buffer])
    },
    fails: () => {
      throw new Fault('log.claim-lost', { what: 'a claim' })
    },
    breaks: () => Promise.reject(new Error('bare')),
  })
  const { line } = pair
  assert.equal(await line.call('add', [1, 2]), 3)
  assert.deepEqual(await line.call('bytes', []), new Uint8Array([1, 2, 3]))
  await assert.rejects(line.call('fails', []), { code: 'log.claim-lost', facts: { what: 'a claim' } })
  await assert.rejects(line.call('breaks', []), { code: 'internal' })
  await assert.rejects(line.call('toString' as 'breaks', []), { code: 'internal' })
  await assert.rejects(line.call('add', [1, (() => {}) as unknown as number]), Fault, 'what cannot be cloned')
  assert.equal(await line.call('add', [2, 2]), 4, 'and it goes on')
})

test('faults travel in arrays and in objects', async () => {
  const fault = new Fault('log.closed', { what: 'it' })
  using pair = lineTo({ all: () => [{ at: 1, fault }, { at: 2 }], takes: (one: Fault) => one instanceof Fault })
  const [first] = await pair.line.call('all', [])
  assert.ok(first !== undefined && 'fault' in first && first.fault instanceof Fault)
  assert.equal(first.fault.code, 'log.closed')
  assert.equal(await pair.line.call('takes', [fault]), true)
})

test('a call that is given up throws the reason, and the other side hears of it', async () => {
  let heard: string | null = null
  using pair = lineTo({
    waits: (signal: AbortSignal) =>
      new Promise<void>((done) =>
        signal.addEventListener('abort', () => {
          heard = 'abort'
          done()
        }),
      ),
  })
  const controller = new AbortController()
  const call = pair.line.call('waits', [], controller.signal)
  controller.abort(new Fault('log.closed', { what: 'the caller' }))
  await assert.rejects(call, { code: 'log.closed' })
  while (heard === null) await sleep(1)
  await assert.rejects(pair.line.call('waits', [], controller.signal), { code: 'log.closed' })
})

async function* numbers(told: { left: boolean }): AsyncGenerator<number> {
  try {
    for (let i = 0; ; i++) yield i
  } finally {
    told.left = true
  }
}

test('items come one at a time; whoever leaves is heard over there', async () => {
  const told = { left: false }
  using pair = lineTo({ count: () => numbers(told) })
  const seen: number[] = []
  for await (const one of pair.line.items('count', [])) {
    seen.push(one)
    if (seen.length === 3) break
  }
  assert.deepEqual(seen, [0, 1, 2])
  await sleep(10)
  assert.equal(told.left, true)
})

test('items end with their signal: before the first, between two, and while one is waited for', async () => {
  const watching = new Set<AbortSignal>()
  using pair = lineTo({
    watch: async function* (signal: AbortSignal) {
      watching.add(signal)
      try {
        yield 'first'
        await new Promise((done) => signal.addEventListener('abort', done, { once: true }))
      } finally {
        watching.delete(signal)
      }
    },
  })
  const over = new AbortController()
  over.abort()
  for await (const one of pair.line.items('watch', [], over.signal)) assert.fail(one)

  const between = new AbortController()
  const seen: string[] = []
  for await (const one of pair.line.items('watch', [], between.signal)) {
    seen.push(one)
    between.abort()
  }
  const waiting = new AbortController()
  for await (const one of pair.line.items('watch', [], waiting.signal)) {
    seen.push(one)
    setTimeout(() => waiting.abort(), 20)
  }
  assert.deepEqual(seen, ['first', 'first'])
  await sleep(10)
  assert.equal(watching.size, 0, 'nothing over there is left waiting')
})

test('a line whose other side is gone: who waits gets the fault, and so does who asks later', async () => {
  using pair = lineTo({ waits: () => new Promise<void>(() => {}), count: () => numbers({ left: false }) })
  const gone = new Fault('log.closed', { what: 'the other thread' })
  const items = pair.line.items('count', [])
  await items.next()
  const call = pair.line.call('waits', [])
  pair.line.end(gone)
  await assert.rejects(call, { code: 'log.closed' })
  await assert.rejects(pair.line.call('waits', []), { code: 'log.closed' })
  await assert.rejects(items.next(), { code: 'log.closed' })
  pair.line.tell('waits', [])
})

test('a side that has ended gives up what it was asked for', async () => {
  const told = { left: false }
  using pair = lineTo({ count: () => numbers(told) })
  const items = pair.line.items('count', [])
  await items.next()
  pair.there.end(new Fault('log.closed', { what: 'the caller' }))
  await sleep(10)
  assert.equal(told.left, true)
})
