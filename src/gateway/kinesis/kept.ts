/** What Kinesis remembers, as JSON, in the compacted topic `_millrace_kinesis`. */
import { KeptMap } from '../../log/kept-map.ts'
import type { Log } from '../../log/log.ts'

const topic = '_millrace_kinesis'
/** Of a stream with all the shards that one may have. */
const bytesMax = '8388608'

export class Kept {
  readonly #map: KeptMap
  /** What was made of the bytes: the same value for as long as they are. */
  readonly #read = new WeakMap<Uint8Array, unknown>()

  private constructor(map: KeptMap) {
    this.#map = map
  }
  static async open(log: Log, now: () => number): Promise<Kept> {
    const map = await KeptMap.open({ log, topic, now })
    if ((await log.topics.get(topic))?.config['max.message.bytes'] !== bytesMax)
      await log.topics.alter(topic, { config: { 'max.message.bytes': bytesMax } })
    return new Kept(map)
  }
  get(key: string): unknown {
    const bytes = this.#map.get(key)
    return bytes === null ? null : this.#parsed(bytes)
  }
  *entries(): Iterable<readonly [string, unknown]> {
    for (const [key, bytes] of this.#map.entries()) yield [key, this.#parsed(bytes)]
  }
  #parsed(bytes: Uint8Array): unknown {
    let value = this.#read.get(bytes)
    if (value === undefined) this.#read.set(bytes, (value = JSON.parse(Buffer.from(bytes).toString()) as unknown))
    return value
  }
  /** All or nothing; durable when it resolves. null takes a key away. Throws Fault. */
  set(changes: readonly (readonly [key: string, value: unknown])[]): Promise<void> {
    return this.#map.change(
      changes.map(([key, value]) => ({ key, value: value === null ? null : Buffer.from(JSON.stringify(value)) })),
    )
  }
}
