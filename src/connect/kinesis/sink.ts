/**
 * Records of ours into streams: the position is committed when the service has them, at least once. The service may put off
 * (throttle) any record of a request and take those behind it. So that the order of a key stands, no key comes twice in one
 * request, and a request is sent again until the service has all of it.
 */
import { Fault } from '../../lib/fault.ts'
import type { Read } from '../../log/group-task.ts'
import type { Refused, Sink, SinkHost } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { textKey } from '../text-headers.ts'
import { type Service, nameOf, openService } from './service.ts'

/** Of one request. */
const recordsMax = 500
const requestBytesMax = 5 * 1024 * 1024
/** Of one record with its key, where the stream does not say more. */
const recordBytesDefault = 1024 * 1024
const keyLengthMax = 256
/** Put off so often, each time twice as long: then the connector fails, and starts again by its strategy. */
const attemptsMax = 10
const firstWaitMs = 50

export async function openSink(host: SinkHost, settings: Settings): Promise<Sink> {
  return new KinesisSink(host, settings, await openService(host, settings))
}

interface Entry {
  readonly read: Read
  readonly Data: Uint8Array
  readonly PartitionKey: string
}

class KinesisSink implements Sink {
  readonly #host: SinkHost
  readonly #settings: Settings
  readonly #service: Service
  /** Of one record with its key, by stream. */
  readonly #bytesMax = new Map<string, number>()

  constructor(host: SinkHost, settings: Settings, service: Service) {
    this.#host = host
    this.#settings = settings
    this.#service = service
  }
  close(): Promise<void> {
    this.#service.client.destroy()
    return Promise.resolve()
  }
  async write(read: readonly Read[]): Promise<readonly Refused[]> {
    const refused: Refused[] = []
    const isOrdered = this.#settings.text('ordering') === 'key'
    for (const [topic, of] of Map.groupBy(read, ({ partition }) => partition.topic)) {
      const stream = this.#settings.text('stream')!.replaceAll('{topic}', topic)
      const entries: Entry[] = []
      for (const one of of) {
        let entry = entryOf(one, this.#bytesMax.get(stream) ?? recordBytesDefault)
        if (entry instanceof Fault && !this.#bytesMax.has(stream)) entry = entryOf(one, await this.#mostOf(stream))
        if (entry instanceof Fault) refused.push({ read: one, fault: entry })
        else entries.push(entry)
      }
      for (const alike of isOrdered ? rounds(entries) : [entries])
        for (const request of requestsOf(alike)) await this.#put(stream, request)
    }
    return refused
  }
  /** Asked for when the first is larger than any stream takes. Who may not ask goes by the default. */
  async #mostOf(stream: string): Promise<number> {
    const { sdk, client, ask } = this.#service
    const bytesMax = await ask(`asking for the records that ${stream} takes`, () =>
      client.send(new sdk.DescribeStreamSummaryCommand({ StreamName: stream }), { abortSignal: this.#host.signal }),
    ).then(
      ({ StreamDescriptionSummary: of }) => (of?.MaxRecordSizeInKiB ?? 0) * 1024 || recordBytesDefault,
      (error: unknown) => {
        if (nameOf(error) !== 'AccessDeniedException') throw error
        return recordBytesDefault
      },
    )
    this.#bytesMax.set(stream, bytesMax)
    return bytesMax
  }
  /** Until the service has all of them. */
  async #put(stream: string, entries: readonly Entry[]): Promise<void> {
    const { sdk, client, ask } = this.#service
    let left = entries
    for (let attempt = 1; ; attempt++) {
      const Records = left.map(({ Data, PartitionKey }) => ({ Data, PartitionKey }))
      const answer = await ask(`putting records into ${stream}`, () =>
        client.send(new sdk.PutRecordsCommand({ StreamName: stream, Records }), { abortSignal: this.#host.signal }),
      )
      const results = answer.Records ?? []
      const failed = left.filter((_, i) => results[i]?.SequenceNumber === undefined)
      if (failed.length === 0) return
      const why = results.find(({ ErrorCode }) => ErrorCode !== undefined)
      if (attempt === attemptsMax)
        throw new Fault('connect.unavailable', {
          what: `putting records into ${stream}`,
          why: `${why?.ErrorCode ?? 'error'}: ${why?.ErrorMessage ?? ''}`,
        })
      await this.#host.world.clock.sleep(firstWaitMs * 2 ** (attempt - 1), this.#host.signal)
      left = failed
    }
  }
}

/** The first of each key, then the second, … */
function rounds(entries: readonly Entry[]): Entry[][] {
  const all: Entry[][] = []
  const depth = new Map<string, number>()
  for (const entry of entries) {
    const round = depth.get(entry.PartitionKey) ?? 0
    depth.set(entry.PartitionKey, round + 1)
    ;(all[round] ??= []).push(entry)
  }
  return all
}
function requestsOf(entries: readonly Entry[]): Entry[][] {
  const all: Entry[][] = []
  let bytes = 0
  for (const entry of entries) {
    const size = entry.Data.length + Buffer.byteLength(entry.PartitionKey)
    const open = all.at(-1)
    if (open === undefined || open.length === recordsMax || bytes + size > requestBytesMax) {
      all.push([entry])
      bytes = size
    } else {
      open.push(entry)
      bytes += size
    }
  }
  return all
}

/** Without a key they are spread; a key that is no text is base64. */
function entryOf(read: Read, bytesMax: number): Entry | Fault {
  const { key, value, offset } = read.record
  const text = key === null || key.length === 0 ? null : textKey(key)
  const PartitionKey = text ?? `${read.partition.index}-${offset}`
  if (PartitionKey.length > keyLengthMax)
    return new Fault('wire.too-large', { what: 'a partition key', bytes: PartitionKey.length, bytesMax: keyLengthMax })
  const Data = value ?? new Uint8Array(0)
  const bytes = Data.length + Buffer.byteLength(PartitionKey)
  if (bytes > bytesMax) return new Fault('wire.too-large', { what: 'a record of a stream', bytes, bytesMax })
  return { read, Data, PartitionKey }
}
