/**
 * The Kinesis Client Library (KCL 2), unmodified, with its leases in dynalite: `kinesis/Worker.java`. It reads parents to
 * their end before their children, takes the leases of a worker that was killed, and takes the user records of the producer
 * library as they come.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { aggregated } from '../../src/wire/kinesis/aggregation.ts'
import { kinesisCaller } from '../gateway/kinesis/fixture.ts'
import { freePorts, kinesisLibrary, need, run, startMillrace } from './setup/index.ts'

const skip = process.env['MILLRACE_QUICK'] === '1' ? 'minutes long: only in the full form' : false
const classes = mkdtempSync(join(tmpdir(), 'kinesis-library-'))
const children: ChildProcess[] = []
let dir = ''
let leases = ''
let java = ''
const millrace = await startMillrace({ args: ['--listen', 'kinesis=127.0.0.1:0'] })
const address = millrace.listen['kinesis']!
const f = kinesisCaller(Number(address.split(':').at(-1)))

before(async () => {
  if (skip !== false) return
  dir = await kinesisLibrary()
  java = (await need('java')).java
  await run('javac', [
    '-nowarn',
    '-cp',
    `${dir}/lib/*`,
    '-d',
    classes,
    join(import.meta.dirname, 'kinesis', 'Worker.java'),
  ])
  const [port] = await freePorts()
  leases = `127.0.0.1:${port}`
  const script = `require('dynalite')({createTableMs:50}).listen(${port},()=>console.log('on'))`
  const child = spawn(process.execPath, ['-e', script], { cwd: dir, stdio: ['ignore', 'pipe', 'ignore'] })
  children.push(child)
  await new Promise((resolve) => child.stdout.once('data', resolve))
})
after(async () => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(classes, { recursive: true, force: true })
  await millrace.stop()
})
function worker(stream: string, how: string, said: string[]): ChildProcess {
  const words = ['-Xmx256M', '-cp', `${classes}:${dir}/lib/*`, 'Worker', address, leases, stream, `app-${stream}`, how]
  const child = spawn(java, words, { stdio: ['ignore', 'pipe', 'ignore'] })
  createInterface(child.stdout).on('line', (line) => void said.push(line))
  children.push(child)
  return child
}
async function until(holds: () => boolean, what: () => string): Promise<void> {
  for (const endMs = Date.now() + 120_000; !holds(); await sleep(200)) assert.ok(Date.now() < endMs, what())
}
const keys = 6

for (const how of ['polling', 'fan-out'])
  test(`the library by ${how}: over a split, and when a worker is killed`, { skip, timeout: 280_000 }, async () => {
    const stream = `library-${how}`
    await f.ok('CreateStream', { StreamName: stream, ShardCount: 2 })
    const sent: string[] = []
    const put = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) {
        const [key, data] = [`k${sent.length % keys}`, String(sent.length)]
        sent.push(data)
        const user = { partitionKey: key, explicitHashKey: null, data: Buffer.from(data) }
        const Data = i % 3 === 0 ? aggregated([user]) : user.data
        await f.ok('PutRecord', { StreamName: stream, PartitionKey: key, Data })
      }
    }
    const said: string[] = []
    const found = (): Set<string> =>
      new Set(said.filter((line) => line.startsWith('record ')).map((line) => line.split(' ')[3]!))
    const all = (): Promise<void> =>
      until(
        () => found().size === sent.length,
        () => `${found().size} of ${sent.length}: ${said.slice(-20).join('\n')}`,
      )
    await put(30)
    const first = worker(stream, how, said)
    await all()
    await f.ok('SplitShard', { StreamName: stream, ShardToSplit: '0', NewStartingHashKey: String(2n ** 126n) })
    await put(30)
    await all()
    first.kill('SIGKILL')
    await put(30)
    worker(stream, how, said)
    await all()
    // A record may come twice, never before one of its key that was put before it.
    const orders = new Map<string, number[]>()
    const seen = new Set<string>()
    for (const line of said) {
      const [what, , key = '', data = ''] = line.split(' ')
      if (what !== 'record' || seen.has(data)) continue
      seen.add(data)
      orders.set(key, [...(orders.get(key) ?? []), Number(data)])
    }
    assert.equal(orders.size, keys)
    for (const [key, numbers] of orders)
      assert.deepEqual(
        numbers,
        numbers.toSorted((a, b) => a - b),
        key,
      )
    const parentEnds = said.indexOf('ended shardId-000000000000')
    const childBegins = said.findIndex((line) => /^begins shardId-00000000000[23]$/.test(line))
    assert.ok(parentEnds >= 0 && parentEnds < childBegins, `${parentEnds} ${childBegins}`)
  })
