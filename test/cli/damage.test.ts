/** What the commands say of a damaged log: why, and what to do. */
import assert from 'node:assert/strict'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, after, test } from 'node:test'
import { silent } from '../../src/lib/logger.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import { openLocalLog } from '../../src/log/local/open.ts'
import { resolveConfig } from '../../src/node/config.ts'
import { startMillrace } from '../../src/node/millrace.ts'
import { millraceAt, run } from './run.ts'

const dir = mkdtempSync(join(tmpdir(), 'millrace-damage-'))
before(async () => {
  const log = await openLocalLog({ world: realWorld(), dir })
  await log.topics.create([{ name: 'orders', partitions: 1 }])
  const partition = { topic: 'orders', index: 0 }
  for (const text of ['first', 'second', 'third']) {
    const record = { key: null, value: Buffer.from(JSON.stringify({ text })), timeMs: Date.now() }
    const [done] = await log.writer().append([{ partition, batch: encodeBatch([record]) }])
    assert.ok(done !== undefined && !('fault' in done))
  }
  await log.close()
})
after(() => rmSync(dir, { recursive: true, force: true }))
const offline = (...words: string[]) => run('src/cli/main.ts', words, process.env)

test('an empty range of offsets is no range; a folder that is none is to be named; nothing damaged is said', async () => {
  const backwards = await offline('log', 'dump', dir, '--partition', 'orders/0', '--offsets', '2..1')
  assert.deepEqual([backwards.code, backwards.stdout], [2, ''])
  assert.match(backwards.stderr, /--offsets 2\.\.1: it ends before it begins/)
  const nowhere = await offline('log', 'verify', join(dir, 'nowhere'))
  assert.match(nowhere.stderr, /is no data folder\n +Name the folder, as `serve --data` has it/)
  const whole = await offline('log', 'repair', dir)
  assert.deepEqual([whole.code, whole.stderr], [0, 'nothing is damaged\n'])
})

test('without meta.json: said, to be given up, made anew', async () => {
  rmSync(join(dir, 'meta.json'))
  const looked = await offline('log', 'verify', dir)
  assert.equal(looked.code, 1)
  assert.match(looked.stderr, /there is damage\n.*meta\.json is damaged at byte 0: it is missing/)
  const asked = await offline('log', 'repair', dir)
  assert.equal(asked.code, 2)
  assert.match(asked.stdout, /meta\.json/)
  assert.match(asked.stderr, /this gives up 1 damaged place as listed; say --yes/)
  assert.equal(existsSync(join(dir, 'meta.json')), false)
  const done = await offline('log', 'repair', dir, '--yes')
  assert.equal(done.code, 0)
  assert.match(readFileSync(join(dir, 'meta.json'), 'utf8'), /"format":1/)
  assert.equal((await offline('log', 'verify', dir)).code, 0)
})

test('tail says where the log is damaged and what to do, behind what can be read', async () => {
  const [file] = globSync(join(dir, 'topics', 'orders~*', '0', '*.log'))
  const bytes = readFileSync(file!)
  bytes[bytes.indexOf('second')]! ^= 1
  writeFileSync(file!, bytes)
  const { config } = resolveConfig({ data: dir, listen: ['http=127.0.0.1:0', 'kafka=off'] }, {}, {})
  const running = await startMillrace({ config, world: realWorld(), logger: silent })
  try {
    const millrace = millraceAt(running.listening().http!)
    const tail = await millrace('tail', 'orders', '--from', 'earliest')
    assert.match(tail.stdout, /first/)
    assert.equal(tail.code, 1)
    assert.match(tail.stderr, /^millrace: .*\.log is damaged at byte \d+: the checksum is wrong\n +.*log repair/)
  } finally {
    await running.close()
  }
})
