/**
 * Reads `_millrace_alerts` into the ledger, from its start and then for ever. There is no other way in: what this process
 * commits takes effect when it is read back, as does what others commit. So the ledgers of all processes on a log agree.
 */
import { type Offset, offset as asOffset } from '../lib/brand.ts'
import { Fault, asFault } from '../lib/fault.ts'
import type { Logger } from '../lib/logger.ts'
import type { Clock } from '../lib/world.ts'
import { type LogRecord, decodeBatch, isControl } from '../log/batch.ts'
import type { Claim, Log, Reader } from '../log/log.ts'
import { type DeliveryChange, type Fired, readRecord } from './ledger-records.ts'
import { ledgerPartition } from './ledger.ts'

export interface LedgerFeedOptions {
  readonly log: Log
  readonly clock: Clock
  readonly logger: Logger
  fired(fired: Fired, offset: number): void
  delivery(change: DeliveryChange): void
}
const waitMs = 30_000
const retryMs = 1_000

export class LedgerFeed {
  readonly #options: LedgerFeedOptions
  readonly #reader: Reader
  readonly #stop = new AbortController()
  /** Everything before it is in the ledger. */
  #at = asOffset(0)
  #waiting: { readonly to: Offset; readonly go: () => void }[] = []
  #running: Promise<void> = Promise.resolve()

  constructor(options: LedgerFeedOptions) {
    this.#options = options
    // In pieces small enough that others get their turn.
    this.#reader = options.log.reader({ maxBytes: 512 * 1024 })
  }
  /** Resolves when what is there now has been read. */
  async start(): Promise<void> {
    const [bounds] = await this.#options.log.bounds([ledgerPartition])
    this.#at = bounds!.start
    while (this.#at < bounds!.stable && !this.#stop.signal.aborted) await this.#step(retryMs)
    this.#running = this.#follow()
  }
  async close(): Promise<void> {
    this.#stop.abort(new Fault('log.closed', { what: 'the ledger of alerts' }))
    for (const { go } of this.#waiting.splice(0)) go()
    await this.#running
  }

  /** Resolves when everything before the offset is in the ledger. Throws Fault log.closed. */
  async reached(to: Offset): Promise<void> {
    if (this.#at < to) await new Promise<void>((go) => this.#waiting.push({ to, go }))
    this.#stop.signal.throwIfAborted()
  }
  /** Resolves when everything visible now is in the ledger. */
  async current(): Promise<void> {
    const [bounds] = await this.#options.log.bounds([ledgerPartition])
    await this.reached(bounds!.stable)
  }
  /** Resolves when everything is in the ledger that earlier holders of the claim's partitions have committed. */
  async settled(claim: Claim): Promise<void> {
    for await (const chunk of this.#options.log.reader().restore(ledgerPartition, claim, this.#at))
      if ('fault' in chunk) throw chunk.fault
    await this.current()
  }

  async #follow(): Promise<void> {
    const { clock, logger } = this.#options
    const { signal } = this.#stop
    while (!signal.aborted)
      try {
        await this.#step(waitMs)
      } catch (error) {
        const fault = asFault(error)
        if (signal.aborted || fault.code === 'log.closed') return
        logger.warn('the ledger of alerts is read again', { error: fault })
        await clock.sleep(retryMs, signal).catch(() => {})
      }
  }
  async #step(ms: number): Promise<void> {
    const from = [{ partition: ledgerPartition, offset: this.#at }]
    const [chunk] = await this.#reader.read(from, { ms }, this.#stop.signal)
    if (chunk === undefined) return
    if ('fault' in chunk) {
      if (chunk.fault.code !== 'log.offset-out-of-range') throw chunk.fault
      const [bounds] = await this.#options.log.bounds([ledgerPartition])
      return this.#moveTo(bounds!.start)
    }
    for (const batch of chunk.batches)
      for (const record of isControl(batch) ? [] : decodeBatch(batch)) if (record.offset >= this.#at) this.#read(record)
    if (chunk.next > this.#at) this.#moveTo(chunk.next)
  }
  #read(record: LogRecord): void {
    const read = readRecord(record)
    if (read === null) return
    if ('destination' in read) this.#options.delivery(read)
    else this.#options.fired(read, record.offset)
  }
  #moveTo(next: Offset): void {
    this.#at = next
    const ready = this.#waiting.filter(({ to }) => to <= next)
    this.#waiting = this.#waiting.filter(({ to }) => to > next)
    for (const { go } of ready) go()
  }
}
