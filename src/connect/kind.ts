/** What a kind of system is to the runtime: its fields as data, and a constructor for each direction. */
import type { Offset } from '../lib/brand.ts'
import type { Fault } from '../lib/fault.ts'
import type { Logger } from '../lib/logger.ts'
import type { World } from '../lib/world.ts'
import type { RecordInput } from '../log/batch.ts'
import type { Read } from '../log/group-task.ts'
import type { At, Partition } from '../log/log.ts'
import type { LoadPackage } from './packages.ts'
import type { Field, Settings } from './settings.ts'

export interface Kind {
  readonly name: string
  /** One sentence for the docs. */
  readonly about: string
  readonly source?: Direction<SourceHost, Source>
  readonly sink?: Direction<SinkHost, Sink>
}
export interface Direction<Host, Made> {
  readonly fields: readonly Field[]
  /** Says what the fields alone cannot: throws Fault connect.invalid-setting. Asks nobody. */
  check?(settings: Settings): void
  /** Called for each start; loads what it stands on. What it throws is a fault of the connector. */
  open(host: Host, settings: Settings): Promise<Made>
}

/** As committed last; values are JSON. */
export type Positions = ReadonlyMap<string, unknown>
interface Host {
  readonly world: World
  readonly logger: Logger
  /** Of the connector. */
  readonly name: string
  /** Names this very definition: one that is made anew under the name has another. */
  readonly id: string
  /** Aborted when it is to stop. */
  readonly signal: AbortSignal
  /** For packages that are not always there (`packages.ts`). */
  readonly load: LoadPackage
}
export interface SourceHost extends Host {
  readonly positions: Positions
  /** Makes the topic where it is missing; `widen`: gives it more where it has fewer partitions. */
  ensureTopic(name: string, partitions: number, widen: boolean): Promise<void>
}
export interface Arriving {
  readonly topic: string
  /** null: by the key. */
  readonly partition: number | null
  readonly record: RecordInput
  /** Why it cannot lie there: it goes to the dead letters. */
  readonly fault?: Fault
}
/** A piece: it becomes durable whole, and is bounded by whoever makes it. */
export interface Piece {
  readonly records: readonly Arriving[]
  /** What to remember together with the records; null forgets. */
  readonly positions: readonly (readonly [key: string, value: unknown])[]
  /** It is durable: the other side may forget it. In the order of the pieces. */
  settled?(): Promise<void> | void
}
export interface Source {
  /** Pieces in order, for ever; ends by throwing. The next one is asked for while the last is being written. */
  pieces(signal: AbortSignal): AsyncIterable<Piece>
  /** Records there that have not come here yet; null: nobody can say. */
  lag(): number | null
  close(): Promise<void>
}

export interface SinkHost extends Host {
  /** Partitions of a topic of ours; null: it is not there. */
  partitionsOf(topic: string): Promise<number | null>
}
export interface Refused {
  readonly read: Read
  readonly fault: Fault
}
/** Durable when it resolves. */
export type SetAside = (refused: readonly Refused[]) => Promise<void>
export interface Sink {
  /**
   * Where the other side says that it is, of these partitions of ours; null: it does not know. A sink without it goes by what
   * was committed here.
   */
  resume?(of: readonly Partition[]): Promise<(Offset | null)[]>
  /**
   * Resolves when the other side has them, in order per partition, but for those that it will never take; `next`: what to go
   * on with, of each partition that moves. What that side will never take is given back, or set aside before a position behind
   * it is kept over there.
   */
  write(read: readonly Read[], next: readonly At[], setAside: SetAside): Promise<readonly Refused[]>
  close(): Promise<void>
}
