/**
 * The retail example with a Kafka cluster as its log, by `--log kafka://…`: its results at the marker equal the batch
 * queries, with two processes that share the views, and over TLS with SCRAM. `--quick` replays a part of the history and
 * leaves the latter out. What happens when something dies is the fault case `cluster`.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Shop, batchResults } from '../../examples/retail/check/shop.ts'
import { replay } from '../../examples/retail/replay/replay.ts'
import { startKafka, startSecureKafka } from './setup/index.ts'

const isQuick = process.env['MILLRACE_QUICK'] === '1'
const someLines = 3_000
const lines = isQuick ? someLines : Infinity
const data = mkdtempSync(join(tmpdir(), 'millrace-cluster-retail-'))
const shops: Shop[] = []
const stops: (() => Promise<void>)[] = []

async function open(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Shop> {
  const shop = new Shop({ args, ...(env === undefined ? {} : { env }) })
  shops.push(shop)
  await shop.start()
  return shop
}

describe('the retail example over a Kafka cluster equals the batch queries at the marker', () => {
  after(async () => {
    for (const shop of shops) await shop.close()
    for (const stop of stops) await stop()
    rmSync(data, { recursive: true, force: true })
  })

  test('two processes share the views', async () => {
    const kafka = await startKafka(join(data, 'two'))
    stops.push(kafka.stop)
    const log = ['--log', `kafka://${kafka.address}`]
    const pair = [await open(log), await open(log)] as const
    const run = async (): Promise<number[]> =>
      Promise.all(
        pair.map(async (shop) => {
          const views = (await shop.views()).filter(({ kind }) => kind === 'view')
          return views.filter(({ status }) => status === 'running').length
        }),
      )
    const all = (await pair[0].views()).filter(({ kind }) => kind === 'view').length
    let shares: number[] = []
    for (let tries = 0; tries < 100 && (shares[0] ?? 0) + (shares[1] ?? 0) !== all; tries++) {
      await sleep(100)
      shares = await run()
    }
    assert.ok(shares.every((share) => share > 0) && shares[0]! + shares[1]! === all, `${shares.join()} of ${all} views`)
    await replay({ url: pair[0].url, seconds: 0, lines })
    const batch = await batchResults(lines)
    await batch.equals(...pair)
    await batch.equals(pair[1], pair[0])
    for (const shop of pair) await shop.kill('SIGTERM')
  })

  test('over TLS, by SCRAM', { skip: isQuick && 'not in the quick form' }, async () => {
    const folder = join(data, 'secure')
    const kafka = await startSecureKafka(folder)
    stops.push(kafka.stop)
    const ca = join(folder, 'tls', 'ca.pem')
    const log = `kafka://${kafka.address}?ca=${ca}&sasl=SCRAM-SHA-256&user=admin`
    const shop = await open(['--log', log], { MILLRACE_LOG_PASSWORD: kafka.password })
    await replay({ url: shop.url, seconds: 0, lines: someLines })
    await (await batchResults(someLines)).equals(shop)
    await shop.kill('SIGTERM')
  })
})
