/**
 * The example's results when the marker has passed, against batch queries over the purchases file: after an undisturbed
 * replay, and after one in which Millrace was killed three times.
 */
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Batch, Shop, batchResults } from './check/shop.ts'
import { replay } from './replay/replay.ts'

describe('the retail example equals the batch queries at the marker', () => {
  let batch: Batch
  before(async () => {
    batch = await batchResults()
  })
  const shops: Shop[] = []
  const open = async (): Promise<Shop> => {
    const shop = new Shop()
    shops.push(shop)
    await shop.start()
    return shop
  }
  after(async () => {
    for (const shop of shops) await shop.close()
  })

  test('after an undisturbed replay', async () => {
    const shop = await open()
    await replay({ url: shop.url, seconds: 0 })
    await batch.equals(shop)
    await shop.kill('SIGTERM')
  })

  test('after a replay with three kill -9', async () => {
    const shop = await open()
    let sent = 0
    const replaying = replay({ url: shop.url, seconds: 12, onProgress: (count) => (sent = count) })
    for (const share of [0.2, 0.5, 0.8]) {
      while (sent < share * 69_660) await sleep(20)
      await shop.kill('SIGKILL')
      await shop.start()
    }
    await replaying
    await batch.equals(shop)
    await shop.kill('SIGTERM')
  })
})
