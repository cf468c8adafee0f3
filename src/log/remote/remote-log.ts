/** The log of another thread of this process, over a line to a `LogHost`. */
import { Fault } from '../../lib/fault.ts'
import type { Line } from '../../lib/line.ts'
import { takeOver } from '../batch.ts'
import type { Commits } from '../commits.ts'
import type {
  Batch,
  Bounds,
  Claim,
  Groups,
  JoinOptions,
  Log,
  Membership,
  Partition,
  Reader,
  Topics,
  Writer,
} from '../log.ts'
import type { LogMethods, SentEntries } from './log-host.ts'
import { RemoteReader, packBatches } from './reader.ts'

class RemoteClaim {
  readonly id: number
  constructor(id: number) {
    this.id = id
  }
}
const idOf = (claim: Claim): number => (claim as unknown as RemoteClaim).id

type Entries = readonly { readonly partition: Partition; readonly batch: Batch }[]
/** Batches that are nobody's else go over as they are; of others the caller keeps its own. */
function send(entries: Entries): { sent: SentEntries; buffers: ArrayBuffer[] } {
  const copied: Batch[] = []
  const given = entries.map(({ batch }) => {
    const taken = isWhole(batch) ? takeOver(batch) : null
    if (taken !== null) return { batch, replaced: taken.replaced }
    copied.push(batch)
    return null
  })
  const batches = packBatches(copied)
  return {
    sent: { partitions: entries.map(({ partition }) => partition), given, batches },
    buffers: [
      ...given.flatMap((one) => (one === null ? [] : [one.batch.buffer as ArrayBuffer])),
      ...[batches.bytes.buffer, batches.ends.buffer as ArrayBuffer],
    ],
  }
}
/** Nothing else lies in its memory. */
const isWhole = ({ buffer, byteLength }: Batch): boolean =>
  buffer instanceof ArrayBuffer && buffer.byteLength === byteLength

/** Ticks are the affair of the thread that has the log: `remoteCommits`. */
export class RemoteLog implements Log {
  readonly limits: Log['limits']
  readonly topics: Topics
  readonly groups: Groups
  readonly #line: Line<LogMethods>
  #nextId = 0

  constructor(line: Line<LogMethods>, limits: Log['limits']) {
    this.#line = line
    this.limits = limits
    this.topics = {
      create: (specs) => line.call('createTopics', [specs]),
      alter: (name, change) => line.call('alterTopic', [name, change]),
      list: () => line.call('listTopics', []),
      get: (name) => line.call('topic', [name]),
      remove: (names) => line.call('removeTopics', [names]),
      trim: (to) => line.call('trimTopics', [to]),
      watch: (signal) => line.items('watchTopics', [], signal),
    }
    this.groups = {
      list: () => line.call('listGroups', []),
      positions: (group) => line.call('groupPositions', [group]),
      reset: (group, to) => line.call('resetGroup', [group, to]),
      remove: (group) => line.call('removeGroup', [group]),
      evict: (group, member) => line.call('evict', [group, member]),
    }
  }
  writer({ acks = 'all' }: { acks?: 'all' | 'leader' | 'none' } = {}): Writer {
    return {
      append: (entries) => {
        const { sent, buffers } = send(entries)
        return this.#line.call('append', [acks, sent], undefined, buffers)
      },
    }
  }
  reader(): Reader {
    return new RemoteReader(this.#line, idOf)
  }
  bounds(of: readonly Partition[]): Promise<Bounds[]> {
    return this.#line.call('bounds', [of])
  }
  findTime(of: readonly Partition[], timeMs: number): ReturnType<Log['findTime']> {
    return this.#line.call('findTime', [of, timeMs])
  }
  join(group: string, options: JoinOptions): Membership {
    return new RemoteMembership(this.#line, this.#nextId++, group, options)
  }
  owner(): never {
    throw new Fault('flow.unsupported', { what: 'ticks of another thread than that of the log' })
  }
  readerPort(): never {
    throw new Fault('flow.unsupported', { what: 'readers for others of another thread than that of the log' })
  }
  /** The log is not this thread's to close. */
  close(): Promise<void> {
    return Promise.resolve()
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

class RemoteMembership implements Membership {
  readonly #line: Line<LogMethods>
  readonly #id: number
  readonly #joined: Promise<void>

  constructor(line: Line<LogMethods>, id: number, group: string, { warm, ...options }: JoinOptions) {
    this.#line = line
    this.#id = id
    this.#joined = line.call('join', [id, group, { ...options, warm: warm() }])
    this.#joined.catch(() => {})
  }
  /** Throws what `Log.join` throws. */
  async *changes(): ReturnType<Membership['changes']> extends AsyncIterable<infer T> ? AsyncGenerator<T, void> : never {
    await this.#joined
    for await (const { claim, active, standby } of this.#line.items('changes', [this.#id]))
      yield {
        claim: new RemoteClaim(claim) as unknown as Claim,
        active,
        standby,
        accept: () => this.#line.tell('accept', [this.#id]),
      }
  }
  positions(claim: Claim, of: readonly Partition[]): ReturnType<Membership['positions']> {
    return this.#line.call('positions', [this.#id, idOf(claim), of])
  }
  async leave(): Promise<void> {
    await this.#joined
    await this.#line.call('leave', [this.#id])
  }
}

export const remoteCommits = (line: Line<LogMethods>): Pick<Commits, 'put'> => ({
  put: (entries, parts) => {
    const { sent, buffers } = send(entries)
    const of = parts.map(({ claim, positions }) => ({ claim: idOf(claim), positions }))
    return line.call('put', [sent, of], undefined, buffers)
  },
})
