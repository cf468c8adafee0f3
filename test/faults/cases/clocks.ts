/**
 * R11: the wall clock is set under load: an hour and ten years ahead and back, over the end of 32-bit time, ten times as
 * fast. The process lives; offsets and records are as they were told; retention deletes nothing early (and deletes what is
 * due: a topic that keeps nothing shows that it ran); a member of a group stays in it; a transaction that was open all the
 * while commits, and one whose time is over is aborted, though the clock went back; windows are those of the records'
 * times.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { nullUuid } from '../../../src/wire/kafka/codec/shape.ts'
import { encodeBatch } from '../../../src/log/batch.ts'
import { ownBatch } from '../../../src/store/batch-header.ts'
import { produceApi } from '../../../src/wire/kafka/messages/00-produce.ts'
import { initProducerIdApi } from '../../../src/wire/kafka/messages/22-init-producer-id.ts'
import { endTxnApi } from '../../../src/wire/kafka/messages/26-end-txn.ts'
import { WireClient } from '../../gateway/kafka/wire-client.ts'
import { between, type Context, type FaultCase, type Outcome, startAgain, startFirst } from '../case.ts'
import { FakeClock } from '../fake-clock.ts'
import { clicks, expectedOutputs, feedClicks } from '../flow-input.ts'
import { compare, defineViews, settledOutputs } from '../flow-output.ts'
import { Member } from '../member.ts'
import { batchOf, recordId } from '../records.ts'
import { TransactionLoad } from '../transactions.ts'
import { describeViolations, Verifier } from '../verify.ts'
import { createTopic, listOffset, produce, Wire } from '../wire.ts'
import { Workload } from '../workload.ts'

export const clocks: FaultCase = { name: 'clocks', says: 'the wall clock is set under load', run: setClocks }

const hourS = 3_600
const yearS = 365 * 24 * hourS
const roundsOf = ({ times }: Context): number => times(1, 20)
/** Retention looks every ten seconds: the jump that would delete most lasts longer. */
const longMs = 12_000
const shortMs = 1_200
/** Records that are ahead of the clock are no fault of theirs here. */
const takesAnyTime = { 'message.timestamp.after.max.ms': '9223372036854775807' }
const expiresMs = 2_000

const jumpsOf = (): readonly (readonly [to: string, forMs: number])[] => [
  [`+${hourS}`, shortMs],
  [`-${hourS}`, shortMs],
  [`-${10 * yearS}`, shortMs],
  [`+${10 * yearS}`, longMs],
  ['+0', shortMs],
  // It passes the last second of 32-bit time soon after.
  [`+${Math.floor((2 ** 31 * 1_000 - Date.now()) / 1_000)}`, 2 * shortMs],
  ['+0 x10', shortMs],
  [`-${10 * yearS}`, shortMs],
  ['+0', shortMs],
]

async function setClocks(context: Context): Promise<Outcome> {
  const { random, note, quick, folder } = context
  const clock = await FakeClock.make(folder)
  const options = { data: `${folder}/data`, env: clock.env }
  let product = await startFirst(options)
  const { kafka } = product
  const [host, port] = kafka.split(':') as [string, string]
  // Stamped by the clock that jumps.
  const config = { 'segment.bytes': '1048576', 'message.timestamp.type': 'LogAppendTime', 'retention.ms': '-1' }
  const load = new Workload({ address: kafka, topic: 'clocks', partitions: 2, leaderCounts: true, random, config })
  const transactions = new TransactionLoad(kafka, 'clocks-exactly', 2, random, takesAnyTime)
  const verifier = new Verifier(load.history, load.places)
  const problems: string[] = []
  let jumps = 0
  const client = await WireClient.open({ host, port: Number(port) })
  const member = new Member(kafka, 'clocks')
  try {
    const wire = await Wire.open(kafka)
    await fill(wire, 'kept', '3600000')
    await fill(wire, 'due', '1')
    const input = clicks(quick ? 3_000 : 12_000, random)
    await defineViews(product, input, takesAnyTime)
    const feeding = Promise.all(
      input.map((part, i) =>
        feedClicks(
          () => kafka,
          i,
          part,
          () => sleep(between(random, 0, quick ? 150 : 400)),
        ),
      ),
    )
    feeding.catch(() => {})
    await load.start()
    await transactions.start()
    await member.join()
    const long = await OpenTransaction.begin(client, 'open-for-long', 600_000)
    for (let round = 0; round < roundsOf(context) && problems.length === 0; round++) {
      const short: OpenTransaction[] = []
      for (const [to, forMs] of jumpsOf()) {
        clock.set(to)
        short.push(await OpenTransaction.begin(client, `open-for-short-${jumps++}`, expiresMs))
        await load.progress(5, 30_000)
        await member.mustBeat()
        await sleep(forMs)
        await member.mustBeat()
        if (!product.running) throw new Error(`the process ended with ${await product.ended}\n${product.log()}`)
      }
      await sleep(2 * expiresMs)
      for (const one of short) await one.mustExpire()
      if ((await listOffset(wire, { topic: 'kept', partition: 0 }, -2)) !== 0) problems.push('retention deleted early')
      if ((await listOffset(wire, { topic: 'due', partition: 0 }, -2)) === 0)
        problems.push('retention never ran: nothing was tested')
      problems.push(...load.complaints, ...describeViolations(await load.whilePaused(() => verifier.look(kafka))))
      note(`round ${round + 1}: ${jumps} jumps`)
    }
    await long.commit()
    await feeding
    problems.push(...compare(await settledOutputs(product, input), expectedOutputs(input)))
    await load.stop()
    await transactions.stop()
    problems.push(...load.complaints, ...(await transactions.check()), ...member.problems)
    // And by a clock that was right again, from the files alone.
    wire.close()
    await product.stop()
    product = await startAgain(product, options)
    problems.push(...describeViolations(await verifier.fromStart().look(kafka)), ...(await transactions.check()))
  } finally {
    client.close()
    member.close()
    transactions.abandon()
    await load.stop()
    await product[Symbol.asyncDispose]()
  }
  const { acknowledged, seen } = load.history.counts
  const { committed, aborted } = transactions.counts
  return {
    problems: [...new Set(problems)],
    figures: { jumps, acknowledged, seen, committed, aborted, heartbeats: member.beats },
  }
}

/** Some segments of records of now. */
async function fill(wire: Wire, topic: string, retentionMs: string): Promise<void> {
  const config = { 'segment.bytes': '1048576', 'retention.ms': retentionMs, ...takesAnyTime }
  await createTopic(wire, topic, 1, config)
  for (let i = 0; i < 20; i++) {
    const { error } = await produce(wire, { topic, partition: 0 }, batchOf(recordId(900, i * 400), 400, null), -1)
    if (error !== 0) throw new Error(`filling ${topic}: error ${error}`)
  }
}

const transactionTopic = 'clocks-exactly-left'

class OpenTransaction {
  readonly #client: WireClient
  readonly #id: string
  readonly #identity: { producerId: number; producerEpoch: number }

  private constructor(client: WireClient, id: string, identity: { producerId: number; producerEpoch: number }) {
    this.#client = client
    this.#id = id
    this.#identity = identity
  }
  static async begin(client: WireClient, id: string, timeoutMs: number): Promise<OpenTransaction> {
    const none = { producerId: -1, producerEpoch: -1, enable2Pc: false, keepPreparedTxn: false }
    const asked = { transactionalId: id, transactionTimeoutMs: timeoutMs, ...none }
    const { errorCode, producerId, producerEpoch } = await client.ask(initProducerIdApi, 5, asked)
    if (errorCode !== 0) throw new Error(`no producer for ${id}: error ${errorCode}`)
    const one = new OpenTransaction(client, id, { producerId, producerEpoch })
    await one.#write()
    return one
  }
  async #write(): Promise<void> {
    const records = encodeBatch([{ key: null, value: Buffer.from(this.#id), timeMs: Date.now() }])
    ownBatch(records, { ...this.#identity, baseSequence: 0, transactional: true })
    const topicData = [{ topicId: nullUuid, name: transactionTopic, partitionData: [{ index: 0, records: [records] }] }]
    const asked = { transactionalId: this.#id, acks: -1, timeoutMs: 10_000, topicData }
    const { responses } = await this.#client.ask(produceApi, 12, asked)
    const { errorCode } = responses[0]!.partitionResponses[0]!
    if (errorCode !== 0) throw new Error(`writing in ${this.#id}: error ${errorCode}`)
  }
  async #end(): Promise<number> {
    const asked = { transactionalId: this.#id, ...this.#identity, committed: true }
    return (await this.#client.ask(endTxnApi, 5, asked)).errorCode
  }
  async commit(): Promise<void> {
    const errorCode = await this.#end()
    if (errorCode !== 0) throw new Error(`${this.#id} cannot be committed any more: error ${errorCode}`)
  }
  /** Its time is over, whatever the wall clock says: a commit is refused. */
  async mustExpire(): Promise<void> {
    if ((await this.#end()) === 0) throw new Error(`${this.#id} was committed after its time`)
  }
}
