/** `millrace log verify | repair | dump` on real folders, whole and damaged. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { realWorld } from '../../src/lib/real/world.ts'
import { silent } from '../../src/lib/logger.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import { openLocalLog } from '../../src/log/local/open.ts'
import { TopicAudit } from '../../src/security/audit.ts'
import { anonymous } from '../../src/security/principal.ts'
import { sealBatch } from '../../src/store/batch-header.ts'

const main = resolve(import.meta.dirname, '../../src/cli/main.ts')
interface Ran {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}
function millrace(...words: string[]): Promise<Ran> {
  return new Promise((done) => {
    execFile(process.execPath, [main, 'log', ...words], (error, stdout, stderr) =>
      done({ code: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    )
  })
}
const root = mkdtempSync(join(tmpdir(), 'millrace-log-'))
const whole = join(root, 'whole')
const partition = { topic: 'Orders', index: 1 }

before(async () => {
  const log = await openLocalLog({ world: realWorld(), dir: whole })
  await log.topics.create([{ name: 'Orders', partitions: 2 }])
  const write = async (from: number): Promise<void> => {
    for (let i = from; i < from + 10; i++) {
      const record = { key: Buffer.from(`k${i}`), value: Buffer.from(`v${i}`), timeMs: 1_700_000_000_000 + i }
      await log.writer().append([{ partition, batch: encodeBatch([record]) }])
    }
  }
  await write(0)
  const tick = (await log.owner()).begin()
  const binary = { key: null, value: Buffer.from([0xff, 0x00]), timeMs: 1_700_000_000_010, headers: [] }
  await tick.append([{ partition, batch: encodeBatch([binary]) }])
  await tick.abort()
  await write(12)
  const { clock, random } = realWorld()
  const audit = new TopicAudit({ log, clock, logger: silent, newChain: () => random.uuid() })
  const subject = { principal: anonymous, host: '127.0.0.1' }
  for (const action of ['CreateTopics', 'DeleteTopics'])
    audit.note({ subject, via: 'kafka', action, resources: ['topic:Orders'], outcome: 'done' })
  await audit.close()
  await log.close()
})
after(() => rmSync(root, { recursive: true, force: true }))

/** A copy to spoil, and the file of the partition's records. */
function copy(name: string): { dir: string; file: string; folder: string } {
  const dir = join(root, name)
  cpSync(whole, dir, { recursive: true })
  const topic = readdirSync(join(dir, 'topics')).find((each) => each.startsWith('+orders~'))!
  const folder = join(dir, 'topics', topic, '1')
  return { dir, folder, file: join(folder, '00000000000000000000.log') }
}
/** Flips a bit in the value of the record that says `text`. */
function flip(file: string, text: string): number {
  const bytes = readFileSync(file)
  const at = bytes.indexOf(text)
  assert.ok(at > 0)
  bytes[at]! ^= 1
  writeFileSync(file, bytes)
  return at
}
const snapshotOf = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, encoding: 'utf8' })
    .filter((path) => !path.endsWith('lock') && statSync(join(dir, path)).isFile())
    .map((path) => `${path} ${readFileSync(join(dir, path)).toString('base64')}`)
    .sort()
type Row = Record<string, unknown>
const rows = (ran: Ran): Row[] => JSON.parse(ran.stdout) as Row[]
const lines = (ran: Ran): Row[] =>
  ran.stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row)

test('verify: a whole folder, counted and left as it is', async () => {
  const { dir } = copy('verified')
  const before = snapshotOf(dir)
  const ran = await millrace('verify', dir, '-o', 'json')
  assert.equal(ran.code, 0, ran.stderr)
  assert.deepEqual(snapshotOf(dir), before)
  const row = rows(ran).find((each) => each['partition'] === 'Orders/1')!
  assert.deepEqual(
    [row['start'], row['end'], row['batches'], row['records'], row['damage'], row['badFiles']],
    [0, 22, 22, 22, [], []],
  )
  assert.ok(rows(ran).some((each) => each['partition'] === '_millrace_catalog/0'))
  const table = await millrace('verify', dir)
  assert.equal(table.code, 0)
  assert.match(table.stdout, /^PARTITION +START +END/)
  assert.match(table.stdout, /Orders\/1 +0 +22 .* none$/m)
})

test('verify: damage is named with file, byte and the offsets that are lost, and fails', async () => {
  const { dir, file } = copy('damaged')
  const at = flip(file, 'v4')
  const before = snapshotOf(dir)
  const ran = await millrace('verify', dir, '-o', 'json')
  assert.equal(ran.code, 1)
  const [damage] = rows(ran).find((each) => each['partition'] === 'Orders/1')!['damage'] as Row[]
  assert.deepEqual(
    [damage!['file'], damage!['from'], damage!['to'], damage!['what']],
    [file, 4, 5, 'the checksum is wrong'],
  )
  assert.ok(Number(damage!['position']) < at && Number(damage!['position']) + Number(damage!['bytes']) > at)
  const failure = JSON.parse(ran.stderr) as { code: string; message: string }
  assert.equal(failure.code, 'store.damaged')
  assert.match(failure.message, /Orders\/1: .*00000000000000000000\.log is damaged at byte \d+ .*; offset 4 lost/)
  assert.deepEqual(snapshotOf(dir), before)
  const other = await millrace('verify', dir, '--partition', '_millrace_catalog/0')
  assert.equal(other.code, 0)
})

test('verify: an audit that was changed, checksums and all, is said to be', async () => {
  const { dir } = copy('audited')
  assert.match((await millrace('verify', dir)).stderr, /audit: 2 records, none changed; the newest is [0-9a-f]{64}/)
  const topic = readdirSync(join(dir, 'topics')).find((each) => each.startsWith('_millrace_audit~'))!
  const path = join(dir, 'topics', topic, '0', '00000000000000000000.log')
  const batch = Buffer.from(readFileSync(path).toString('latin1').replace('CreateTopics', 'CreateCheese'), 'latin1')
  sealBatch(batch)
  writeFileSync(path, batch)
  const noticed = await millrace('verify', dir)
  assert.equal(noticed.code, 1)
  assert.match(noticed.stderr, /_millrace_audit.* it does not begin as it did/)
  assert.doesNotMatch(noticed.stderr, /none changed/)
  // Without what else notes how the file began.
  rmSync(join(dir, 'synced.log'))
  const ran = await millrace('verify', dir)
  assert.equal(ran.code, 1)
  assert.match(ran.stderr, /the audit is not what was written\n +offset 1: what is before number 1 was changed/)
})

test('repair: says what would be lost, asks for --yes, keeps the damaged bytes, and the log goes on', async () => {
  const { dir, file, folder } = copy('repaired')
  flip(file, 'v4')
  const spoiled = readFileSync(file)
  const before = snapshotOf(dir)
  const asked = await millrace('repair', dir)
  assert.equal(asked.code, 2)
  assert.match(asked.stderr, /say --yes/)
  assert.match(asked.stdout, /Orders\/1 +4 +4 /)
  assert.deepEqual(snapshotOf(dir), before)

  const ran = await millrace('repair', dir, '--yes', '-o', 'json')
  assert.equal(ran.code, 0, ran.stderr)
  const [row, ...more] = rows(ran)
  assert.deepEqual(more, [])
  const keptAs = join(folder, '00000000000000000000.damaged')
  assert.deepEqual([row!['lostFrom'], row!['lostTo'], row!['keptAs']], [4, 4, keptAs])
  const position = Number(row!['position'])
  assert.deepEqual(readFileSync(keptAs), spoiled.subarray(position, position + Number(row!['bytes'])))
  assert.equal((await millrace('verify', dir)).code, 0)
  assert.deepEqual(rows(await millrace('repair', dir, '--yes', '-o', 'json')), [], 'nothing is left to do')

  const log = await openLocalLog({ world: realWorld(), dir })
  const record = { key: Buffer.from('k'), value: Buffer.from('new'), timeMs: 1 }
  const [appended] = await log.writer().append([{ partition, batch: encodeBatch([record]) }])
  assert.deepEqual(appended, { offset: 22, timeMs: -1 })
  await log.close()
  const dumped = lines(await millrace('dump', dir, '--partition', 'Orders/1', '--deep', '-o', 'jsonl'))
  const found = dumped.filter((each) => 'offset' in each && 'key' in each).map((each) => each['value'])
  const values = [...Array.from({ length: 10 }, (_, i) => i), ...Array.from({ length: 10 }, (_, i) => i + 12)]
    .filter((i) => i !== 4)
    .map((i) => `v${i}`)
  assert.deepEqual(
    found.filter((value) => value !== undefined),
    [...values, 'new'],
  )
})

test('dump: batches and records of a range, markers, bytes that are no text, and damage in its place', async () => {
  const { dir, file } = copy('dumped')
  const batches = lines(await millrace('dump', dir, '--partition', 'Orders/1', '-o', 'jsonl'))
  assert.deepEqual(
    batches.map((each) => each['baseOffset']),
    Array.from({ length: 22 }, (_, i) => i),
  )
  assert.deepEqual([batches[10]!['isTransactional'], batches[11]!['isControl']], [true, true])
  assert.equal(batches.at(-1)!['position'], statSync(file).size - Number(batches.at(-1)!['size']))
  const deep = lines(
    await millrace('dump', dir, '--partition', 'Orders/1', '--offsets', '9..11', '--deep', '-o', 'json'),
  )
  assert.deepEqual(
    deep.filter((each) => 'offset' in each),
    [
      { offset: 9, timestamp: 1_700_000_000_009, key: 'k9', value: 'v9' },
      { offset: 10, timestamp: 1_700_000_000_010, key: null, valueBase64: '/wA=' },
      { offset: 11, timestamp: deep.at(-1)!['timestamp'], endTxnMarker: 'ABORT' },
    ],
  )
  const text = await millrace('dump', dir, '--partition', 'Orders/1', '--offsets', '3', '--deep')
  assert.match(
    text.stdout,
    /^baseOffset: 3 lastOffset: 3 count: 1 .*\n\| offset: 3 timestamp: 1700000000003 key: k3 value: v3\n$/,
  )
  flip(file, 'v4')
  const damaged = await millrace('dump', dir, '--partition', 'Orders/1', '--offsets', '3..5')
  assert.equal(damaged.code, 1)
  assert.match(damaged.stdout, /baseOffset: 3 .*\ndamaged: offset 4 lost, byte \d+\nbaseOffset: 5 /)
  assert.equal((await millrace('dump', dir, '--partition', 'Orders/1', '--offsets', '5..')).code, 0)
})

test('what is no data folder, or held, or not there, is said so', async () => {
  const nowhere = await millrace('verify', join(root, 'nowhere'))
  assert.equal(nowhere.code, 3)
  assert.match(nowhere.stderr, /is no data folder/)
  const { dir } = copy('held')
  const log = await openLocalLog({ world: realWorld(), dir })
  const held = await millrace('repair', dir, '--yes')
  assert.equal(held.code, 1)
  assert.match(held.stderr, /another process|locked|holds/)
  await log.close()
  const wrong = await millrace('dump', dir, '--partition', 'orders/1')
  assert.equal(wrong.code, 3)
  assert.match(wrong.stderr, /Orders\/0|Orders\/1/)
  assert.equal((await millrace('dump', dir)).code, 2)
  assert.equal((await millrace('dump', dir, '--partition', 'Orders/1', '--offsets', 'x')).code, 2)
})
