/**
 * Many producers that each wait for one batch before they send the next: bare batches, made once, so that the client costs
 * next to nothing. node batches.ts --bootstrap HOST:PORT --topic T --partitions N --producers 50 --batchbytes 16384
 */
import { encodeBatch } from '../../../../src/log/batch.ts'
import { Wire, produce } from '../../../../test/faults/wire.ts'
import { Meter, options, payloads } from './common.ts'

const given = options({ producers: 50, batchbytes: 16_384 })
/** Of a record beyond its value, and of the batch before its records. */
const [recordBytes, headBytes] = [12, 61]

const bodies = payloads(given.size)
const count = Math.max(1, Math.floor((given.batchbytes - headBytes) / (given.size + recordBytes)))
const timeMs = Date.now()
const batch = encodeBatch(Array.from({ length: count }, (_, i) => ({ key: null, value: bodies[i & 63]!, timeMs })))

const meter = new Meter(given)
let turn = 0
const wires = await Promise.all(Array.from({ length: given.producers }, () => Wire.open(given.bootstrap)))
meter.start()
await Promise.all(wires.map(keepSending))
meter.report('bare batches', { producers: given.producers, batch_bytes: batch.length })
process.exit(0)

async function keepSending(wire: Wire): Promise<void> {
  while (!meter.stopped) {
    const place = { topic: given.topic, partition: turn++ % given.partitions }
    const sentAtMs = performance.now()
    try {
      const { error } = await produce(wire, place, batch, given.acks === -1 ? -1 : 1)
      if (error !== 0) throw new Error(`error ${error}`)
      meter.acknowledged(count, sentAtMs)
    } catch (error) {
      meter.failed(error)
    }
  }
}
