import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BufferPool } from '../../src/lib/buffer-pool.ts'

const megabyte = 1024 * 1024

test('what the last holder lets go of is used again', () => {
  const pool = new BufferPool(10 * megabyte)
  const first = pool.take(megabyte)
  first.hold()
  first.release()
  assert.notEqual(pool.take(megabyte).bytes, first.bytes, 'somebody holds it still')
  first.release()
  assert.equal(pool.idleBytes, megabyte)
  assert.equal(pool.take(megabyte).bytes, first.bytes)
  assert.equal(pool.idleBytes, 0)
})

test('a buffer is at least as long as asked for and less than twice that', () => {
  const pool = new BufferPool(100 * megabyte)
  for (let bytes = 8 * 1024; bytes < 5 * megabyte; bytes = Math.ceil(bytes * 1.037)) {
    const lease = pool.take(bytes)
    assert.ok(lease.bytes.length >= bytes && lease.bytes.length <= 2 * bytes, `${lease.bytes.length} for ${bytes}`)
    lease.release()
  }
  const { idleBytes } = pool
  const small = pool.take(700_000)
  assert.ok(small.bytes.length >= 700_000 && small.bytes.length <= 1_400_000)
  assert.ok(pool.idleBytes < idleBytes, 'one that is somewhat larger will do')
})

test('no more than the bound lies idle, and what is never given back is nobody’s loss', () => {
  const pool = new BufferPool(2 * megabyte)
  const leases = Array.from({ length: 5 }, () => pool.take(megabyte))
  for (const lease of leases.slice(0, 4)) lease.release()
  assert.equal(pool.idleBytes, 2 * megabyte)
})

test('small and very large buffers have their exact size and are not kept', () => {
  const pool = new BufferPool(1000 * megabyte)
  for (const bytes of [0, 1, 100, 5000, 5 * megabyte]) {
    const lease = pool.take(bytes)
    assert.equal(lease.bytes.length, bytes)
    lease.release()
  }
  assert.equal(pool.idleBytes, 0)
})

test('a release too many and a hold too late are told apart from right ones', () => {
  const lease = new BufferPool(megabyte).take(megabyte)
  lease.release()
  assert.throws(() => lease.release(), /given back once/)
  assert.throws(() => lease.hold(), /before it is given back/)
})

test('a pool that wipes overwrites buffers of any size', () => {
  const pool = new BufferPool(megabyte, { wipes: true })
  const lease = pool.take(10)
  lease.bytes.fill(1)
  lease.release()
  assert.ok(lease.bytes.every((byte) => byte === 0xdb))
})

test('memory that nobody else holds leaves the pool, and comes back as other memory of its size', () => {
  const pool = new BufferPool(2 * megabyte)
  const lease = pool.take(megabyte)
  lease.hold()
  assert.equal(lease.own(), null, 'somebody holds it still')
  lease.release()
  const owned = lease.own()!
  assert.equal(owned.memory, lease.bytes.buffer)
  assert.equal(pool.idleBytes, 0)
  assert.throws(() => lease.release(), /given back once/)
  const { memory } = owned
  const sent = structuredClone(memory, { transfer: [memory] })
  assert.equal(lease.bytes.length, 0, 'nobody here sees it any more')
  owned.giveBack(sent)
  assert.equal(pool.idleBytes, megabyte)
  assert.equal(pool.take(megabyte).bytes.buffer, sent)
  assert.equal(pool.take(100).own(), null, 'a part of shared memory is nobody’s own')
})
