/** Shared by the load generators: options, payloads, the window that counts, one JSON line of results. */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Admin } from '@platformatic/kafka'

const defaults = {
  bootstrap: '127.0.0.1:9092',
  topic: 'load',
  /** Partitions of the topic to create first; 0 = it is there. */
  create: 0,
  partitions: 1,
  acks: '1',
  size: 1024,
  /** Messages handed to the client at once, and how many such batches are on their way. */
  batch: 500,
  inflight: 4,
  warmup: 2,
  seconds: 8,
  compression: 'none',
}
export type Options<Extra> = Omit<typeof defaults, 'acks'> & { acks: number } & Extra

/** Reads `--name value` pairs; a name that is not among the defaults ends the program. */
export function options<Extra extends Record<string, string | number>>(extra: Extra): Options<Extra> {
  const values: Record<string, string | number> = { ...defaults, ...extra }
  const words = process.argv.slice(2)
  for (let i = 0; i < words.length; i += 2) {
    const name = words[i]!.replace(/^--/, '')
    const word = words[i + 1]
    if (!(name in values) || word === undefined) {
      console.error(
        `unknown option ${words[i]}; known: ${Object.keys(values)
          .map((known) => `--${known}`)
          .join(' ')}`,
      )
      process.exit(2)
    }
    values[name] = typeof values[name] === 'number' ? Number(word) : word
  }
  return { ...values, acks: values['acks'] === 'all' ? -1 : Number(values['acks']) } as Options<Extra>
}

/** Makes the topic when `--create N` asks for it. */
export async function createTopic(given: Options<object>): Promise<void> {
  if (given.create === 0) return
  const admin = new Admin({ clientId: 'load', bootstrapBrokers: given.bootstrap.split(',') })
  await admin.createTopics({ topics: [given.topic], partitions: given.create, replicas: 1 })
  await admin.close()
}

/** 64 different payloads of the letters A–Z, as Kafka's own producer-perf sends. */
export const payloads = (size: number): Buffer[] =>
  Array.from({ length: 64 }, () => Buffer.from(randomBytes(size).map((byte) => 65 + (byte % 26))))

export function quantile(sorted: readonly number[], q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}

/** Counts what is acknowledged between the end of the warm-up and the end. */
export class Meter {
  stopped = false
  errors = 0
  readonly #options: Options<object>
  readonly #latenciesMs: number[] = []
  #counting = false
  #messages = 0
  #total = 0
  #fromMs = 0
  #toMs = 0

  constructor(of: Options<object>) {
    this.#options = of
  }
  start(): void {
    const { warmup, seconds } = this.#options
    setTimeout(() => {
      this.#counting = true
      this.#fromMs = performance.now()
    }, warmup * 1000)
    setTimeout(
      () => {
        this.#counting = false
        this.stopped = true
        this.#toMs = performance.now()
      },
      (warmup + seconds) * 1000,
    )
  }
  acknowledged(messages: number, sentAtMs: number): void {
    this.#total += messages
    if (!this.#counting) return
    this.#messages += messages
    this.#latenciesMs.push(performance.now() - sentAtMs)
  }
  failed(error: unknown): void {
    if (++this.errors < 3) console.error(error)
  }
  report(client: string, more: object = {}): void {
    const { partitions, acks, size, compression, batch, inflight } = this.#options
    const seconds = (this.#toMs - this.#fromMs) / 1000
    const sorted = this.#latenciesMs.toSorted((a, b) => a - b)
    const perSecond = this.#messages / seconds
    const row = {
      client,
      node: process.version,
      partitions,
      acks,
      size,
      compression,
      batch,
      inflight,
      ...more,
      messages: this.#messages,
      errors: this.errors,
      msgs_s: Math.round(perSecond),
      mb_s: Number(((perSecond * size) / 2 ** 20).toFixed(2)),
      total_mb: Number(((this.#total * size) / 2 ** 20).toFixed(2)),
      ack_p50_ms: Number(quantile(sorted, 0.5).toFixed(2)),
      ack_p99_ms: Number(quantile(sorted, 0.99).toFixed(2)),
      client_rss_mb: Math.round(process.memoryUsage.rss() / 2 ** 20),
    }
    console.log(JSON.stringify(row))
  }
}

/** Keeps `inflight` batches of `batch` messages on their way; `send` resolves when its batch is acknowledged. */
export async function pump<Message>(
  of: Options<object>,
  meter: Meter,
  make: (payload: Buffer) => Message,
  send: (messages: Message[], partition: number) => Promise<unknown>,
): Promise<void> {
  const bodies = payloads(of.size)
  let sent = 0
  let batches = 0
  meter.start()
  const worker = async (): Promise<void> => {
    while (!meter.stopped) {
      const messages = Array.from({ length: of.batch }, () => make(bodies[sent++ & 63]!))
      const sentAtMs = performance.now()
      try {
        // One partition a batch, in turn: batches stay whole.
        await send(messages, batches++ % of.partitions)
        meter.acknowledged(messages.length, sentAtMs)
      } catch (error) {
        meter.failed(error)
        await sleep(50)
      }
    }
  }
  await Promise.all(Array.from({ length: of.inflight }, worker))
}
