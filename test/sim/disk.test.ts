import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pageBytes } from '../../src/lib/sim/file-content.ts'
import { type Simulation, simulate } from '../../src/lib/sim/world.ts'

/** Runs once for each seed and collects the answers. */
async function overSeeds<T>(run: (machine: Simulation) => Promise<T>): Promise<T[]> {
  const out: T[] = []
  for (let seed = 0; seed < 60; seed++) {
    const machine = simulate(seed)
    machine.disk.makeDirectory('/d')
    await machine.run(() => machine.disk.syncDirectory('/'))
    out.push(await machine.run(() => run(machine)))
  }
  return out
}
const write = (machine: Simulation, path: string, text: string | Uint8Array, position = 0): void => {
  const file = machine.disk.open(path, 'write')
  file.write([typeof text === 'string' ? Buffer.from(text) : text], position)
  file.close()
}
const sync = async (machine: Simulation, path: string): Promise<void> => {
  const file = machine.disk.open(path, 'write')
  await file.datasync()
  file.close()
  await machine.disk.syncDirectory('/d')
}

test('what was synced survives every power cut', async () => {
  const answers = await overSeeds(async (machine) => {
    write(machine, '/d/f', 'kept')
    await sync(machine, '/d/f')
    machine.powerCut()
    return machine.disk.contents('/d/f').toString()
  })
  assert.deepEqual([...new Set(answers)], ['kept'])
})

test('what was not synced may be there, be gone, be zeros, or be there in part', async () => {
  const answers = await overSeeds(async (machine) => {
    write(machine, '/d/f', Buffer.alloc(2 * pageBytes, 'a'))
    await sync(machine, '/d/f')
    write(machine, '/d/f', Buffer.alloc(4 * pageBytes, 'b'))
    machine.powerCut()
    const bytes = machine.disk.contents('/d/f')
    const pages = Array.from({ length: bytes.length / pageBytes }, (_, i) =>
      kindOf(bytes.subarray(i * pageBytes, (i + 1) * pageBytes)),
    )
    return pages.join('')
  })
  const seen = answers.join('')
  for (const kind of ['a', 'b', '0', '~']) assert.ok(seen.includes(kind), `no page is '${kind}': ${answers.join(' ')}`)
  const sizes = new Set(answers.map((pages) => pages.length))
  assert.ok(sizes.has(2) && sizes.has(4) && sizes.size > 2, [...sizes].join(' '))
  assert.ok(
    answers.some((pages) => /^.*a.*b/.test(pages)),
    'pages come in any order',
  )
})
function kindOf(page: Buffer): string {
  const values = new Set(page)
  if (values.size > 1) return '~'
  return page[0] === 0 ? '0' : String.fromCharCode(page[0]!)
}

test('names that were not synced may be forgotten; a rename is whole or not at all', async () => {
  const answers = await overSeeds(async (machine) => {
    write(machine, '/d/old', 'old')
    await sync(machine, '/d/old')
    write(machine, '/d/new', 'new')
    const file = machine.disk.open('/d/new', 'write')
    await file.datasync()
    machine.disk.rename('/d/new', '/d/old')
    machine.powerCut()
    return machine.disk.contents('/d/old').toString()
  })
  assert.deepEqual([...new Set(answers)].sort(), ['new', 'old'])
  const made = await overSeeds(async (machine) => {
    write(machine, '/d/x', 'x')
    machine.powerCut()
    return machine.disk.stat('/d/x') !== null
  })
  assert.deepEqual(new Set(made), new Set([true, false]))
})

test('a directory is as durable as its name in the one above', async () => {
  const answers = await overSeeds(async (machine) => {
    machine.disk.makeDirectory('/d/e')
    write(machine, '/d/e/f', 'f')
    const file = machine.disk.open('/d/e/f', 'write')
    await file.datasync()
    await machine.disk.syncDirectory('/d/e')
    machine.powerCut()
    return machine.disk.stat('/d/e/f') !== null
  })
  assert.deepEqual(new Set(answers), new Set([true, false]))
})

test('a kill loses nothing that was written, but every open file and lock', async () => {
  const machine = simulate(1)
  machine.disk.makeDirectory('/d')
  const file = machine.disk.open('/d/f', 'write')
  file.write([Buffer.from('abc')], 0)
  machine.disk.lock('/d/lock')
  assert.throws(() => machine.disk.lock('/d/lock'), { code: 'store.locked' })
  let isDone = false
  void file.datasync().then(() => (isDone = true))
  machine.kill()
  await machine.advance(100)
  assert.equal(isDone, false)
  assert.throws(() => file.write([Buffer.from('d')], 3), { code: 'EBADF' })
  assert.equal(machine.disk.contents('/d/f').toString(), 'abc')
  machine.disk.lock('/d/lock').release()
  machine.disk.lock('/d/lock')
})

test('after a failed sync the pages are clean, readable and never reach the disk', async () => {
  const kept = await overSeeds(async (machine) => {
    write(machine, '/d/f', 'old')
    await sync(machine, '/d/f')
    const file = machine.disk.open('/d/f', 'write')
    file.write([Buffer.from('new')], 0)
    machine.disk.plan = ({ operation }) => (operation === 'datasync' ? { code: 'EIO' } : null)
    await assert.rejects(file.datasync(), { code: 'EIO' })
    machine.disk.plan = null
    assert.equal(machine.disk.contents('/d/f').toString(), 'new')
    await file.datasync()
    machine.powerCut()
    return machine.disk.contents('/d/f').toString()
  })
  assert.ok(kept.filter((text) => text === 'old').length > 20, kept.join(' '))
})

test('a write that fails leaves as much as the plan says, and a full disk takes what fits', () => {
  const machine = simulate(1, { capacityBytes: 10 })
  const file = machine.disk.open('/f', 'write')
  machine.disk.plan = ({ operation }) => (operation === 'write' ? { code: 'EIO', written: 2 } : null)
  assert.throws(() => file.write([Buffer.from('abc'), Buffer.from('def')], 0), { code: 'EIO' })
  assert.equal(machine.disk.contents('/f').toString(), 'ab')
  machine.disk.plan = null
  assert.throws(() => file.write([Buffer.alloc(20, 'x')], 0), { code: 'ENOSPC' })
  assert.equal(file.size(), 10)
  assert.equal(machine.disk.free('/'), 0)
  file.write([Buffer.from('over')], 0)
  assert.throws(() => file.write([Buffer.from('more')], 8), { code: 'ENOSPC' })
})

test('with the power off every call fails until the cut', () => {
  const machine = simulate(1)
  machine.disk.makeDirectory('/d')
  machine.disk.plan = ({ number }) => (number === machine.disk.calls - 1 ? { code: 'power' } : null)
  assert.throws(() => machine.disk.open('/d/f', 'write'), { code: 'EPOWER' })
  machine.disk.plan = null
  assert.throws(() => machine.disk.stat('/d'), { code: 'EPOWER' })
  machine.powerCut()
  assert.doesNotThrow(() => machine.disk.stat('/d'))
})

test('a cut file reads as zeros where it grows again', async () => {
  const machine = simulate(1)
  const file = machine.disk.open('/f', 'write')
  file.write([Buffer.alloc(6000, 'a')], 0)
  await machine.run(() => file.datasync())
  file.truncate(5000)
  file.write([Buffer.from('b')], 5999)
  const bytes = machine.disk.contents('/f')
  assert.equal(bytes.length, 6000)
  assert.deepEqual(bytes.subarray(5000, 5999), Buffer.alloc(999))
  await machine.run(async () => {
    await file.datasync()
    await machine.disk.syncDirectory('/')
  })
  machine.powerCut()
  assert.deepEqual(machine.disk.contents('/f').subarray(5000, 5999), Buffer.alloc(999))
})

test('a flipped bit is one flipped bit', () => {
  const machine = simulate(1)
  write(machine, '/f', 'abc')
  machine.disk.flipBit('/f', 9)
  assert.equal(machine.disk.contents('/f').toString(), 'a`c')
})
