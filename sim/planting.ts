/** Ways to put something between the log and its store. */
import type { CompactionState } from '../src/log/local/compaction/state.ts'
import { type TransactionState, decodeTransactionState } from '../src/log/local/transactions/state-format.ts'
import { type RecordInput, decodeBatch, encodeBatch } from '../src/log/batch.ts'
import type { PartitionLog, Store } from '../src/store/store.ts'

export type Planted = (store: Store) => Store

export function overTransactions(
  store: Store,
  change: (record: RecordInput, state: TransactionState) => RecordInput,
): Store {
  return overRecords(store, '__transaction_state', (record) =>
    record.value === null ? record : change(record, decodeTransactionState(record.value)),
  )
}
export function overRecords(store: Store, topic: string, change: (record: RecordInput) => RecordInput): Store {
  return changed(store, (log) =>
    log.dir.startsWith(`${topic}~`)
      ? {
          append: (batch) =>
            log.append(encodeBatch(decodeBatch(batch).map(({ key, value, timeMs }) => change({ key, value, timeMs })))),
        }
      : {},
  )
}
export function overCompaction(store: Store, change: (state: CompactionState) => CompactionState): Store {
  return changed(store, (log) => ({
    saveSnapshot: (name, at, bytes) => {
      if (name !== 'compaction') return log.saveSnapshot(name, at, bytes)
      const state = change(JSON.parse(Buffer.from(bytes).toString()) as CompactionState)
      return log.saveSnapshot(name, at, Buffer.from(JSON.stringify(state)))
    },
  }))
}
/** The store with some methods of its partitions replaced. */
export function changed(store: Store, change: (log: PartitionLog) => Partial<PartitionLog>): Store {
  const known = new Map<PartitionLog, PartitionLog>()
  return overlaid(store, {
    partition: (dir, config) => {
      const log = store.partition(dir, config)
      const found = known.get(log) ?? overlaid(log, change(log))
      known.set(log, found)
      return found
    },
  })
}
function overlaid<T extends object>(target: T, own: Partial<T>): T {
  return new Proxy(target, {
    get(_, name) {
      const value: unknown = Reflect.get(name in own ? own : target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}
