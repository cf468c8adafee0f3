/**
 * The Event Hubs gateway under kill -9: what was accepted is there after it, in the order it was sent, and of what was not
 * answered at most what was under way; checkpoints that were answered stand; an owner level still keeps a lower one out.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { BlobServiceClient } from '@azure/storage-blob'
import type { Offset } from '../../../src/lib/brand.ts'
import { RawClient, batchOf, message } from '../../gateway/eventhubs/raw-client.ts'
import { batchFormat } from '../../../src/wire/amqp/sections.ts'
import { disposition, fieldsOf, flow, isOf } from '../../../src/wire/amqp/composites.ts'
import { type Millrace, freePorts } from '../../interop/setup/index.ts'
import { type Context, type FaultCase, type Outcome, between, startAgain, startFirst } from '../case.ts'

export const eventHubsKill: FaultCase = {
  name: 'eventhubs-kill',
  says: 'kill -9 under Event Hubs clients: events, checkpoints, owner levels',
  run: killUnderClients,
}
const partitions = 2
const batchEvents = 10
const cyclesOf = ({ times }: Context): number => times(8, 300)
const under = 'hub/ConsumerGroups/owned/Partitions/0'
const lower = 4

async function killUnderClients(context: Context): Promise<Outcome> {
  const { random, note } = context
  const cycles = cyclesOf(context)
  const [port] = await freePorts()
  const args = ['--listen', `eventhubs=127.0.0.1:${port}`]
  let product: Millrace = await startFirst({ data: context.folder, args })
  const problems: string[] = []
  const events = Array.from({ length: partitions }, (_, index) => new Sending(port!, index))
  const checkpoints = new Checkpoints(port!)
  try {
    await fetch(`http://${product.http}/v1/topics/hub`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ partitions }),
    })
    await checkpoints.create()
    for (let cycle = 1; cycle <= cycles && problems.length === 0; cycle++) {
      const owner = await RawClient.open({ port: port! })
      await owner.receiver(under, { epoch: lower + 1 })
      const running = [...events.map((one) => one.run()), checkpoints.run()]
      await sleep(between(random, 100, 800))
      await product.kill('SIGKILL')
      await Promise.all(running)
      owner.socket.destroy()
      product = await startAgain(product, { args })
      problems.push(...(await keptOut(port!)), ...(await checkpoints.check()))
      for (const one of events) problems.push(...(await one.check(cycle === cycles)))
      note(
        `cycle ${cycle} of ${cycles}: ${events.map(({ accepted }) => accepted)} batches, ${checkpoints.answered} checkpoints`,
      )
    }
    if (events.some(({ accepted }) => accepted < cycles) || checkpoints.answered < cycles)
      problems.push('hardly anything was accepted: nothing was tested')
  } finally {
    await product[Symbol.asyncDispose]()
  }
  const figures = {
    kills: cycles,
    'events accepted': events.reduce((sum, { accepted }) => sum + accepted * batchEvents, 0),
    'checkpoints answered': checkpoints.answered,
  }
  return { figures, problems }
}
/** Nobody with a lower level, right after the start; the same level comes back. */
async function keptOut(port: number): Promise<string[]> {
  await using client = await RawClient.open({ port })
  const receiver = await client.receiver(under, { epoch: lower })
  const { handle, condition } = await client.detached()
  return handle === receiver.handle && condition === 'amqp:link:stolen'
    ? []
    : [`a lower owner level heard ${condition}`]
}

/** Numbered batches to one partition, several under way. */
class Sending {
  accepted = 0
  /** Numbers of batches that were accepted, and of the next one. */
  readonly #accepted = new Set<number>()
  #next = 0
  /** Numbers of the batches that are there, as they lie. */
  readonly #found: number[] = []
  readonly #port: number
  readonly #index: number

  constructor(port: number, index: number) {
    this.#port = port
    this.#index = index
  }
  /** Until the connection is lost. */
  async run(): Promise<void> {
    await using client = await RawClient.open({ port: this.#port })
    const sender = await client.sender(`hub/Partitions/${this.#index}`).catch((error: unknown) => {
      if (client.isClosed) return null
      throw error
    })
    if (sender === null) return
    const numbers = new Map<number, number>()
    client.intercept = ({ value }) => {
      if (!isOf(value, disposition)) return false
      const { first, last, state } = fieldsOf(value, disposition)
      const isAccepted = state?.type === 'described' && state.descriptor.value === 0x24n
      for (let id = first; id <= (last ?? first); id++) if (isAccepted) this.#accepted.add(numbers.get(id)!)
      more()
      return true
    }
    const more = (): void => {
      while (!client.isClosed && this.#next - this.#accepted.size < atOnce + lost) {
        const number = this.#next++
        const events = Array.from({ length: batchEvents }, (_, i) => message({ body: Buffer.from(`${number}/${i}`) }))
        numbers.set(sender.post(batchOf(events), batchFormat), number)
      }
    }
    const lost = this.#next - this.#accepted.size
    more()
    while (!client.isClosed) await sleep(5)
    this.accepted = this.#accepted.size
  }
  /** Everything that was accepted, whole, once and in order; nothing that was never sent. Goes on where it stopped, unless `whole`. */
  async check(whole: boolean): Promise<string[]> {
    if (whole) this.#found.length = 0
    await using client = await RawClient.open({ port: this.#port })
    for (;;) {
      const bodies = await this.#piece(client)
      for (let at = 0; at < bodies.length; at += batchEvents) {
        const number = Number(bodies[at]!.split('/')[0])
        for (let i = 0; i < batchEvents; i++)
          if (bodies[at + i] !== `${number}/${i}`)
            return [`partition ${this.#index}: batch ${number} is torn at event ${at + i}`]
        this.#found.push(number)
      }
      if (bodies.length < pieceEvents) break
    }
    const numbers = this.#found
    const found = new Set(numbers)
    const missing = [...this.#accepted].filter((number) => !found.has(number))
    if (missing.length > 0) return [`partition ${this.#index}: accepted batches are lost: ${missing.slice(0, 10)}`]
    if (found.size !== numbers.length) return [`partition ${this.#index}: a batch is there twice`]
    if (numbers.some((number, i) => i > 0 && number < numbers[i - 1]!))
      return [`partition ${this.#index}: out of order`]
    return []
  }
  /** The next events behind those that were found, as many as there are up to a number. */
  async #piece(client: RawClient): Promise<string[]> {
    const selector = `amqp.annotation.x-opt-sequence-number > '${this.#found.length * batchEvents - 1}'`
    const address = `hub/ConsumerGroups/check/Partitions/${this.#index}`
    const receiver = await client.receiver(address, { selector })
    receiver.credit(pieceEvents, { drain: true })
    // The answer to a drain comes behind all that there is.
    while (fieldsOf((await client.next(flow, 60_000)).value, flow).handle !== receiver.handle);
    const bodies: string[] = []
    for (;;) {
      const [event] = await receiver.take(1, 0).catch(() => [])
      if (event === undefined) break
      bodies.push(String(event.data))
    }
    receiver.detach()
    await client.detached()
    return bodies
  }
}
const atOnce = 8
/** Of whole batches. */
const pieceEvents = 50_000

/** A checkpoint store's blobs: metadata set again and again, by ETag. */
class Checkpoints {
  answered = 0
  #newest: Offset | -1 = -1
  readonly #container

  constructor(port: number) {
    const key = Buffer.alloc(32, 'k').toString('base64')
    const endpoint = `BlobEndpoint=http://127.0.0.1:${port}/account`
    const text = `DefaultEndpointsProtocol=http;AccountName=account;AccountKey=${key};${endpoint}`
    const service = BlobServiceClient.fromConnectionString(text, { retryOptions: { maxTries: 1 } })
    this.#container = service.getContainerClient('checkpoints')
  }
  async create(): Promise<void> {
    await this.#container.create()
    await this.#container.getBlockBlobClient('ns/hub/group/checkpoint/0').upload('', 0, { metadata: { offset: '-1' } })
  }
  async run(): Promise<void> {
    const blob = this.#container.getBlockBlobClient('ns/hub/group/checkpoint/0')
    try {
      for (let offset = this.#newest + 1; ; offset++) {
        await blob.setMetadata({ offset: String(offset) })
        this.#newest = offset as Offset
        this.answered++
      }
    } catch {
      // The process is gone.
    }
  }
  /** The newest that was answered, or the one that was under way. */
  async check(): Promise<string[]> {
    const { metadata } = await this.#container.getBlockBlobClient('ns/hub/group/checkpoint/0').getProperties()
    const found = Number(metadata?.['offset'])
    const isRight = found === this.#newest || found === this.#newest + 1
    const wanted = this.#newest
    this.#newest = found as Offset
    return isRight ? [] : [`the checkpoint is ${found}, and ${wanted} was answered`]
  }
}
