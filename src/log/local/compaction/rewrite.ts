/**
 * The batches of a range of offsets with some records taken out; pure. The result covers the same offsets without a gap:
 * a batch that lost records, or follows lost ones, begins where the one before ends, and a last one without records
 * covers what is left. Transactions are over: batches of aborted ones and markers go, committed ones become plain, so
 * nothing below has to be known about producers any more.
 */
import { assert } from '../../../lib/assert.ts'
import type { Offset } from '../../../lib/brand.ts'
import { type BatchHeader, attribute, ownBatch, readBatchHeader, stampBatch } from '../../../store/batch-header.ts'
import { type LogRecord, decodeBatch, encodeSparseBatch } from '../../batch.ts'
import { codecName } from '../../compression.ts'

export interface RewriteRules {
  isCommitted(header: BatchHeader): boolean
  keeps(record: LogRecord): boolean
  /** True where no record of the batch goes; absent or false: each is asked for. */
  keepsAll?(batch: Uint8Array): boolean
}

export class Rewriter {
  readonly #rules: RewriteRules
  readonly #to: Offset
  /** Everything before it is covered. */
  #at: Offset

  constructor(range: { from: Offset; to: Offset }, rules: RewriteRules) {
    this.#at = range.from
    this.#to = range.to
    this.#rules = rules
  }
  /** The batch that takes this one's place; null when nothing of it is left. */
  take(batch: Uint8Array): Uint8Array | null {
    const header = readBatchHeader(batch)
    const end = (header.baseOffset + header.lastOffsetDelta + 1) as Offset
    assert(header.baseOffset >= this.#at && end <= this.#to, 'batches come in order, inside the range')
    if ((header.attributes & attribute.control) !== 0 || header.recordCount === 0) return null
    if (!this.#rules.isCommitted(header)) return null
    const isWhole = this.#at === header.baseOffset && this.#rules.keepsAll?.(batch) === true
    const records = isWhole ? [] : decodeBatch(batch)
    const kept = records.filter((record) => this.#rules.keeps(record))
    if (kept.length === 0 && !isWhole) return null
    const base = this.#at
    this.#at = end
    if (kept.length === records.length && base === header.baseOffset) return plain(batch, header)
    const compression = codecName(header.attributes & attribute.compressionMask)
    const sparse = encodeSparseBatch(kept, { base, end, compression })
    if ((header.attributes & attribute.logAppendTime) !== 0) stampBatch(sparse, header.maxTimeMs)
    return sparse
  }
  /** What covers the rest of the range; null when it is covered. */
  finish(): Uint8Array | null {
    if (this.#at >= this.#to) return null
    const base = this.#at
    this.#at = this.#to
    return encodeSparseBatch([], { base, end: this.#to, compression: 'none' })
  }
}

/** A copy without its producer: readers may hold the bytes as they are. */
function plain(batch: Uint8Array, header: BatchHeader): Uint8Array {
  const copy = Buffer.from(batch)
  if (header.producerId >= 0 || (header.attributes & attribute.transactional) !== 0)
    ownBatch(copy, { producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false })
  return copy
}
