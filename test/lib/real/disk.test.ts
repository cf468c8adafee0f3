/** The same cases for the real disk, the one in memory, and the simulated one. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { simulate } from '../../../src/lib/sim/world.ts'
import { realDisk } from '../../../src/lib/real/disk.ts'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import type { Disk } from '../../../src/lib/world.ts'

function onEachDisk(name: string, run: (disk: Disk, dir: string) => Promise<void>): void {
  test(`${name} (real)`, async () => {
    const dir = mkdtempSync(join(tmpdir(), 'millrace-disk-'))
    try {
      await run(realDisk, dir)
    } finally {
      rmSync(dir, { recursive: true })
    }
  })
  test(`${name} (memory)`, async () => {
    const disk = memoryDisk()
    disk.makeDirectory('/dir')
    await run(disk, '/dir')
  })
  test(`${name} (simulated)`, () => {
    const machine = simulate(1)
    machine.disk.makeDirectory('/dir')
    return machine.run(() => run(machine.disk, '/dir'))
  })
}

onEachDisk('a file reads what was written, wherever it was written', async (disk, dir) => {
  const file = disk.open(`${dir}/f`, 'write')
  const large = Buffer.alloc(3_000_000, 'abcdefg')
  file.write([Buffer.from('one'), large, Buffer.from('two')], 10)
  assert.equal(file.size(), 3_000_016)
  const all = Buffer.alloc(3_000_020, '?')
  assert.equal(file.read(all, 0), 3_000_016)
  assert.deepEqual(all.subarray(0, 13), Buffer.from('\0\0\0\0\0\0\0\0\0\0one'))
  assert.ok(all.subarray(13, 3_000_013).equals(large))
  assert.equal(all.subarray(3_000_013).toString(), 'two????')
  const part = Buffer.alloc(8)
  assert.equal(await file.readLater(part, 3_000_010), 6)
  assert.equal(part.toString('latin1', 0, 6), `${large.toString('latin1', 2_999_997)}two`)
  assert.equal(file.read(part, 4_000_000), 0)
  file.write([Buffer.from('ONE')], 10)
  file.write([], 0)
  assert.equal(file.read(part, 10), 8)
  assert.equal(part.toString(), 'ONEabcde')
  await file.datasync()
  file.close()
  file.close()
})

onEachDisk('a cut file grows with zeros', async (disk, dir) => {
  const file = disk.open(`${dir}/f`, 'write')
  file.write([Buffer.alloc(20_000, 'x')], 0)
  file.truncate(5)
  assert.equal(file.size(), 5)
  file.write([Buffer.from('y')], 9000)
  const bytes = Buffer.alloc(9001)
  file.read(bytes, 0)
  assert.equal(bytes.subarray(0, 5).toString(), 'xxxxx')
  assert.ok(bytes.subarray(5, 9000).equals(Buffer.alloc(8995)))
  file.truncate(10_000)
  assert.equal(file.size(), 10_000)
  file.close()
})

onEachDisk('names', async (disk, dir) => {
  assert.throws(() => disk.open(`${dir}/missing`, 'read'), { code: 'ENOENT' })
  assert.throws(() => disk.open(`${dir}/missing/f`, 'write'), { code: 'ENOENT' })
  assert.deepEqual(disk.list(`${dir}/missing`), [])
  assert.equal(disk.stat(`${dir}/missing`), null)
  disk.makeDirectory(`${dir}/a/b`)
  disk.makeDirectory(`${dir}/a/b`)
  assert.equal(disk.stat(`${dir}/a`)?.directory, true)
  for (const name of ['z', 'y', 'x']) disk.open(`${dir}/a/${name}`, 'write').close()
  assert.deepEqual(disk.list(`${dir}/a`), ['b', 'x', 'y', 'z'])
  const file = disk.open(`${dir}/a/x`, 'write')
  file.write([Buffer.from('x')], 0)
  disk.rename(`${dir}/a/x`, `${dir}/a/y`)
  disk.rename(`${dir}/a`, `${dir}/c`)
  assert.deepEqual(disk.list(`${dir}/c`), ['b', 'y', 'z'])
  assert.equal(disk.stat(`${dir}/c/y`)?.size, 1)
  assert.throws(() => disk.rename(`${dir}/c/x`, `${dir}/c/q`), { code: 'ENOENT' })
  await disk.syncDirectory(`${dir}/c`)
  // An open file outlives its name.
  disk.remove(`${dir}/c/y`)
  const byte = Buffer.alloc(1)
  assert.equal(file.read(byte, 0), 1)
  file.close()
  disk.remove(`${dir}/c`)
  disk.remove(`${dir}/c`)
  assert.deepEqual(disk.list(dir), [])
  assert.ok(disk.free(`${dir}/not/there`) > 0)
})

onEachDisk('a lock is held once', async (disk, dir) => {
  const lock = disk.lock(`${dir}/lock`)
  assert.throws(() => disk.lock(`${dir}/lock`), { code: 'store.locked' })
  lock.release()
  lock.release()
  disk.lock(`${dir}/lock`).release()
})

test('a file closed while a sync is under way ends the sync first', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-disk-'))
  const file = realDisk.open(`${dir}/f`, 'write')
  file.write([Buffer.alloc(1_000_000)], 0)
  const syncing = file.datasync()
  const reading = file.readLater(Buffer.alloc(1_000_000), 0)
  file.close()
  await syncing
  assert.equal(await reading, 1_000_000)
  assert.throws(() => file.read(Buffer.alloc(1), 0), { code: 'EBADF' })
  rmSync(dir, { recursive: true })
})

test('a lock dies with the process that holds it, however it dies', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-lock-'))
  const program = `import { lockFile } from '${new URL('../../../src/lib/real/lock.ts', import.meta.url).href}'
    lockFile('${dir}/lock'); gc(); console.log('held'); setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--expose-gc', '--input-type=module-typescript', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    await once(child.stdout, 'data')
    assert.throws(() => realDisk.lock(`${dir}/lock`), { code: 'store.locked' })
  } finally {
    child.kill('SIGKILL')
  }
  await once(child, 'exit')
  realDisk.lock(`${dir}/lock`).release()
  rmSync(dir, { recursive: true })
})

test('a disk in memory says how much it may still take', () => {
  let free = 100
  const disk = memoryDisk({ free: () => free, now: () => 5 })
  assert.equal(disk.free('/'), 100)
  free = 3
  assert.equal(disk.free('/'), 3)
  disk.open('/f', 'write').write([Buffer.from('x')], 0)
  assert.equal(disk.stat('/f')?.modifiedMs, 5)
})

test('a folder that cannot be made is refused, and not tried for ever', () => {
  // Nothing can be made in /proc, and it says so as if the parent were missing.
  const nowhere = process.platform === 'linux' ? '/proc/nowhere/data' : `${process.execPath}/data`
  assert.throws(() => realDisk.makeDirectory(nowhere), { syscall: 'mkdir' })
  assert.throws(() => realDisk.makeDirectory(`${process.execPath}/data`), { syscall: 'mkdir' })
  assert.throws(() => realDisk.makeDirectory(process.execPath), { code: 'EEXIST' })
})
