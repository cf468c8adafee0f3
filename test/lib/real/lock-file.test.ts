/** A lock file that something else was written to: what is wrong and what to do is said, and nothing is opened. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { lockFile } from '../../../src/lib/real/lock.ts'

test('a lock file that holds something is no lock; once it is deleted there is one again', () => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-lock-'))
  try {
    const path = join(dir, 'lock')
    writeFileSync(path, Buffer.alloc(1_000, 0xff))
    assert.throws(() => lockFile(path), {
      code: 'store.failed',
      message: /no lock file, which is always empty: delete it/,
    })
    rmSync(path)
    const lock = lockFile(path)
    assert.throws(() => lockFile(path), { code: 'store.locked' })
    lock.release()
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})
