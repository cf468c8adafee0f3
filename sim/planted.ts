/**
 * Faults of the log, planted between it and its store: a workload that does not find them looks at nothing. Each takes
 * away or falsifies one thing that the log does for a moment that hardly ever comes.
 */
import type { PartitionLog, Store } from '../src/store/store.ts'

export type Planted = (store: Store) => Store

/** The log does not hear that its end was cut away. */
export const unheardCuts: Planted = (store) => changed(store, () => ({ onCut: () => () => undefined }))

/** The store with some methods of its partitions replaced. */
function changed(store: Store, change: (log: PartitionLog) => Partial<PartitionLog>): Store {
  return overlaid(store, {
    partition: (dir, config) => {
      const log = store.partition(dir, config)
      return overlaid(log, change(log))
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
