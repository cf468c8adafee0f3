/** A segment is Kafka's own format: its tool prints every record of every compression, over several segments. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { realWorld } from '../../src/lib/real/world.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import { openStore } from '../../src/store/open.ts'
import { config } from '../store/support.ts'
import { kafkaTool } from './setup/index.ts'

const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

test('kafka-dump-log --print-data-log reads what the store wrote', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-segments-'))
  const store = await openStore({ world: realWorld(), dir })
  const log = store.partition('orders~1/0', { ...config, segmentBytes: 400 })
  const expected: string[] = []
  for (const [i, compression] of compressions.entries()) {
    const text = `${compression} ${i}`
    const records = [1, 2, 3].map((n) => ({
      key: Buffer.from(`k${n}`),
      value: Buffer.from(`${text} ${n}`),
      timeMs: 1000 + n,
    }))
    const { baseOffset } = log.append(Buffer.from(encodeBatch(records, compression)))
    for (const n of [1, 2, 3]) expected.push(`offset: ${baseOffset + n - 1} CreateTime: ${1000 + n} k${n} ${text} ${n}`)
  }
  await store.close()
  const folder = join(dir, 'topics/orders~1/0')
  const segments = readdirSync(folder).filter((name) => name.endsWith('.log'))
  assert.ok(segments.length > 1)
  const files = segments.map((name) => join(folder, name)).join(',')
  const [command, args] = await kafkaTool('dump-log', '--print-data-log', '--files', files)
  const { stdout } = await promisify(execFile)(command, args)
  assert.doesNotMatch(stdout, /isvalid: false/)
  const printed = stdout.matchAll(/^\| (offset: \d+ CreateTime: \d+) .*key: (k\d) payload: (.*)$/gm)
  assert.deepEqual(
    Array.from(printed, ([, place, key, value]) => `${place} ${key} ${value}`),
    expected,
  )
  rmSync(dir, { recursive: true })
})
