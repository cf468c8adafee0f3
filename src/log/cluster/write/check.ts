/** What bytes must be before they go to a broker: its answer would be the same, a round trip later. */
import { limits } from '../../../lib/limits.ts'
import { checkForm, splitBatches } from '../../local/batch-check.ts'
import type { Batch } from '../../log.ts'

/** The batches of an entry, copied: the caller keeps its bytes. Throws Fault log.corrupt-batch and its like. */
export function checkedCopies(entry: Batch): { readonly batch: Batch; readonly records: number }[] {
  return splitBatches(Buffer.from(entry)).map((one) => {
    checkForm(one, limits.batchBytesMax)
    return { batch: one.bytes, records: one.header.recordCount }
  })
}
