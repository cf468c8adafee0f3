/** A step that failed because of one event: which one, so that it can be left out and the step tried again. */
import type { Batch } from './batch.ts'
import { RowError } from './compile.ts'

export class EventError extends Error {
  /** Source partition (`sourcePartition`) and offset of the record. */
  readonly source: number
  readonly offset: number
  constructor(source: number, offset: number, cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause })
    this.name = 'EventError'
    this.source = source
    this.offset = offset
  }
}
/** The error of a batch's row as one of the event that the row is from, where it is from one. */
export function eventError(error: unknown, batch: Batch): unknown {
  if (!(error instanceof RowError)) return error
  const source = batch.rows.source[error.row]!
  return source < 0 ? error : new EventError(source, batch.rows.offset[error.row]!, error.cause)
}
export function attributed<T>(batch: Batch, run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw eventError(error, batch)
  }
}
