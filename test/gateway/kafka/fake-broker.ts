/**
 * A broker of a few maps, to test the gateway without the log: topics, batches with offsets, waiting fetches, and a group
 * coordinator that knows one member a group. Everything is durable at once.
 */
import { randomUUID } from 'node:crypto'
import { offset } from '../../../src/lib/brand.ts'
import { Fault } from '../../../src/lib/fault.ts'
import { limits } from '../../../src/lib/limits.ts'
import type {
  Broker,
  ConfigEntry,
  FetchAnswer,
  FetchRequest,
  GroupCoordinator,
  ProduceAnswer,
  ProduceRequest,
  ResourceConfigs,
  TransactionalProducer,
  Transactions,
} from '../../../src/log/broker.ts'
import type { Partition, TopicInfo, TopicSpec } from '../../../src/log/log.ts'
import { placeBatch, readBatchHeader } from '../../../src/store/batch-header.ts'

interface Stored {
  start: number
  end: number
  readonly batches: {
    readonly base: number
    readonly next: number
    readonly maxTimeMs: number
    readonly bytes: Buffer
  }[]
}
const known = ['cleanup.policy', 'retention.ms', 'max.message.bytes', 'segment.bytes']
const defaults: Record<string, string> = {
  'cleanup.policy': 'delete',
  'retention.ms': '-1',
  'max.message.bytes': '1048588',
  'segment.bytes': '134217728',
}

/** Of resources with one setting. */
function fakeConfigs(setting: string, byDefault: string): ResourceConfigs {
  const values = new Map<string, Record<string, string>>()
  const check: ResourceConfigs['check'] = (_, change) => {
    const odd = Object.keys(change).find((name) => name !== setting && change[name] !== null)
    return odd === undefined ? null : new Fault('log.invalid-config', { name: odd, value: '', why: 'unknown' })
  }
  return {
    names: () => [...values.keys()],
    current: (resource) => values.get(resource) ?? {},
    describe(resource) {
      const value = values.get(resource)?.[setting]
      const isDefault = value === undefined
      return [{ name: setting, value: value ?? byDefault, isDefault, type: 'int', documentation: 'about it' }]
    },
    check,
    async alter(resource, change) {
      const fault = check(resource, change)
      if (fault !== null) throw fault
      const entries = Object.entries({ ...values.get(resource), ...change })
      values.set(resource, Object.fromEntries(entries.filter(([, value]) => value !== null)) as never)
    },
    onChange: () => undefined,
  }
}
export class FakeBroker implements Partial<Broker> {
  readonly clusterId = 'fakefakefakefakefakefa'
  readonly log = new Map<string, Stored>()
  readonly infos = new Map<string, TopicInfo>()
  readonly produced: ProduceRequest[] = []
  /** Answers to produce wait for this, to see what happens meanwhile. */
  gate: Promise<void> = Promise.resolve()
  private readonly waiters = new Set<() => void>()
  private producers = 1000
  coordinator: GroupCoordinator = new FakeCoordinator()
  readonly transactions = noTransactions()

  readonly groupConfigs = fakeConfigs('consumer.session.timeout.ms', '45000')
  readonly brokerConfigs = {
    ...fakeConfigs('message.max.bytes', '1048588'),
    effective: (name: string) =>
      String(name === 'max.connections' ? limits.kafkaConnections : limits.kafkaConnectionsPerAddress),
    isSet: () => false,
  }
  readonly clientMetrics = fakeConfigs('interval.ms', '300000')

  /** They have nothing to give out. */
  readonly queues = {
    settings: () => ({ lockMs: 30_000 }),
    acquire: async () => [],
    settle: async (_group: string, _member: string, of: readonly unknown[]) => of.map(() => null),
    release: async () => undefined,
  } as unknown as Broker['queues']

  readonly catalog = {
    all: () => [...this.infos.values()],
    byName: (name: string) => this.infos.get(name) ?? null,
    byId: (id: string) => [...this.infos.values()].find((info) => info.id === id) ?? null,
  }
  readonly topics = {
    create: async (specs: readonly TopicSpec[]) => specs.map((spec) => this.create(spec)),
    alter: async (
      name: string,
      change: { partitions?: number; config?: Readonly<Record<string, string | null>> },
    ): Promise<void> => {
      const fault = this.checkAlter(name, change)
      if (fault !== null) throw fault
      const info = this.infos.get(name)!
      const config: Record<string, string> = { ...info.config }
      for (const [setting, value] of Object.entries(change.config ?? {}))
        if (value === null) delete config[setting]
        else config[setting] = value
      this.infos.set(name, { ...info, config, partitions: change.partitions ?? info.partitions })
    },
    remove: async (names: readonly string[]) =>
      names.map((name) => (this.infos.delete(name) ? null : new Fault('log.unknown-topic', { topic: name }))),
    trim: async (to: readonly { partition: Partition; offset: number }[]) => {
      for (const { partition, offset: at } of to) this.stored(partition)!.start = at
    },
  } as unknown as Broker['topics']

  create(spec: TopicSpec): Fault | null {
    const fault = this.checkCreate([spec])[0]!
    if (fault !== null) return fault
    const { name, partitions, config = {}, defaults: own = {} } = spec
    this.infos.set(name, { name, id: randomUUID(), partitions, config, defaults: own })
    return null
  }
  checkCreate(specs: readonly TopicSpec[]): (Fault | null)[] {
    return specs.map(({ name, partitions, config = {} }) => {
      if (partitions > 100) return new Fault('log.invalid-partitions', { partitions, why: 'too many' })
      if (this.infos.has(name)) return new Fault('log.topic-exists', { topic: name })
      if (!/^[\w.-]{1,249}$/.test(name)) return new Fault('log.invalid-topic', { topic: name, why: 'no' })
      return configFault(config)
    })
  }
  checkAlter(
    _name: string,
    { partitions = 1, ...change }: { partitions?: number; config?: Readonly<Record<string, string | null>> },
  ): Fault | null {
    if (partitions > 100) return new Fault('log.invalid-partitions', { partitions, why: 'too many' })
    return configFault(change.config ?? {})
  }
  describeConfig(topic: string): ConfigEntry[] {
    const { config } = this.infos.get(topic)!
    return known.map((name) => ({
      name,
      value: config[name] ?? defaults[name]!,
      isDefault: config[name] === undefined,
      type: name === 'cleanup.policy' ? 'list' : 'long',
      documentation: `about ${name}`,
    }))
  }
  sizeBytes(partition: Partition): number {
    return this.stored(partition)!.batches.reduce((sum, { bytes }) => sum + bytes.length, 0)
  }
  leaderEpoch(): number {
    return 5
  }
  epochEnd(partition: Partition, epoch: number) {
    return epoch > 5 ? null : { epoch, end: offset(this.stored(partition)!.end) }
  }

  stored({ topic, index }: Partition): Stored | null {
    const info = this.infos.get(topic)
    if (info === undefined || index < 0 || index >= info.partitions) return null
    const key = `${topic}/${index}`
    if (!this.log.has(key)) this.log.set(key, { start: 0, end: 0, batches: [] })
    return this.log.get(key)!
  }
  async produce(request: ProduceRequest): Promise<ProduceAnswer[]> {
    this.produced.push(request)
    const answers = request.entries.map(({ partition, records }): ProduceAnswer => {
      const stored = this.stored(partition)
      if (stored === null) return { fault: new Fault('log.unknown-topic', { topic: partition.topic }) }
      const bytes = Buffer.from(records)
      if (bytes.length < 61) return { fault: new Fault('log.corrupt-batch', { what: 'short' }) }
      const base = stored.end
      for (let at = 0; at < bytes.length;) {
        const header = readBatchHeader(bytes, at)
        const sane = header.bytes >= 61 && at + header.bytes <= bytes.length && header.lastOffsetDelta >= 0
        if (!sane || header.magic !== 2) return { fault: new Fault('log.corrupt-batch', { what: 'length' }) }
        const batch = bytes.subarray(at, at + header.bytes)
        placeBatch(batch, stored.end, 5)
        const next = stored.end + header.lastOffsetDelta + 1
        stored.batches.push({ base: stored.end, next, maxTimeMs: header.maxTimeMs, bytes: batch })
        stored.end = next
        at += header.bytes
      }
      return { baseOffset: offset(base), appendTimeMs: -1, start: offset(stored.start) }
    })
    for (const wake of this.waiters) wake()
    await this.gate
    return answers
  }
  async fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer[]> {
    const found = this.read(request)
    const bytes = found.reduce((sum, one) => sum + one.records.reduce((s, batch) => s + batch.length, 0), 0)
    if (bytes >= request.minBytes || request.maxWaitMs === 0 || found.some((one) => one.fault !== null)) return found
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.waiters.delete(done)
        resolve()
      }
      const timer = setTimeout(done, request.maxWaitMs)
      this.waiters.add(done)
      signal.addEventListener('abort', done)
    })
    return this.read(request)
  }
  private read({ entries }: FetchRequest): FetchAnswer[] {
    return entries.map(({ partition, offset: from }) => {
      const none = offset(0)
      const stored = this.stored(partition)
      const release = (): void => {}
      const nothing = { partition, start: none, highWatermark: none, stable: none, records: [], aborted: [], release }
      if (stored === null) return { ...nothing, fault: new Fault('log.unknown-topic', { topic: partition.topic }) }
      const bounds = { start: offset(stored.start), highWatermark: offset(stored.end), stable: offset(stored.end) }
      if (from > stored.end || from < stored.start)
        return {
          ...nothing,
          ...bounds,
          fault: new Fault('log.offset-out-of-range', { offset: from, first: stored.start, next: stored.end }),
        }
      const records = stored.batches.filter((batch) => batch.next > from).map((batch) => batch.bytes)
      return { partition, ...bounds, records, aborted: [], fault: null, release }
    })
  }
  async listOffsets(of: readonly { partition: Partition; timeMs: number }[]) {
    return of.map(({ partition, timeMs }) => {
      const stored = this.stored(partition)!
      if (timeMs === -1) return { offset: offset(stored.end), timeMs: -1, leaderEpoch: 5 }
      if (timeMs === -2) return { offset: offset(stored.start), timeMs: -1, leaderEpoch: 5 }
      const batch = stored.batches.find(({ maxTimeMs }) => maxTimeMs >= timeMs)
      if (batch === undefined) return { offset: -1 as const, timeMs: -1, leaderEpoch: -1 }
      return { offset: offset(batch.base), timeMs: batch.maxTimeMs, leaderEpoch: 5 }
    })
  }
  async bounds(of: readonly Partition[]) {
    return of.map((partition) => {
      // What a broker keeps for itself is empty here.
      const { start, end } = this.stored(partition) ?? { start: 0, end: 0 }
      return { partition, start: offset(start), stable: offset(end), end: offset(end) }
    })
  }
  async initProducer() {
    return { producerId: this.producers++, epoch: 0 }
  }
}

function configFault(config: Readonly<Record<string, string | null>>): Fault | null {
  const odd = Object.keys(config).find((name) => !known.includes(name))
  return odd === undefined
    ? null
    : new Fault('log.invalid-config', { name: odd, value: config[odd] ?? '', why: 'unknown' })
}

/** Knows no transactional id, and lets nobody begin. */
function noTransactions(): Transactions {
  const refuse = ({ transactionalId, producerId }: TransactionalProducer): never => {
    throw new Fault('log.invalid-producer-mapping', { transactionalId, producerId })
  }
  return {
    init: async ({ transactionalId }) => {
      throw new Fault('log.concurrent-transactions', { transactionalId })
    },
    addPartitions: async (producer) => refuse(producer),
    verifyPartitions: (producer) => refuse(producer),
    addOffsets: async (producer) => refuse(producer),
    end: async (producer) => refuse(producer),
    commitOffsets: async (producer) => refuse(producer),
    writeMarker: async () => {},
    describe: (transactionalId) => {
      throw new Fault('log.unknown-transactional-id', { transactionalId })
    },
    list: async () => [],
    producers: async () => [],
  }
}

type Committed = Parameters<GroupCoordinator['commit']>[0]['offsets'][number]
export class FakeCoordinator implements GroupCoordinator {
  readonly removed = new Set<(group: string) => void>()
  readonly initialRebalanceDelayMs = 500
  readonly members = new Map<string, { id: string; metadata: Uint8Array; assignment: Uint8Array }>()
  readonly committed = new Map<string, Map<string, Committed>>()

  async consumerHeartbeat(request: Parameters<GroupCoordinator['consumerHeartbeat']>[0]) {
    const { group, memberId, epoch } = request
    if (epoch > 1)
      return { fault: new Fault('log.fenced-member-epoch', { group, member: memberId, found: epoch, current: 1 }) }
    return { memberId, epoch: epoch < 0 ? epoch : 1, heartbeatMs: 500, assignment: null }
  }
  async describeConsumer(): Promise<null> {
    return null
  }
  async shareHeartbeat({ memberId, epoch }: Parameters<GroupCoordinator['shareHeartbeat']>[0]) {
    return { memberId, epoch: epoch < 0 ? epoch : 1, heartbeatMs: 500, assignment: [] }
  }
  async describeShare(): Promise<null> {
    return null
  }
  readonly shareOffsets: GroupCoordinator['shareOffsets'] = {
    positions: async () => [],
    reset: async () => undefined,
    forget: async () => undefined,
  }
  async join(request: Parameters<GroupCoordinator['join']>[0]) {
    if (request.memberId === '' && request.memberIdRequired)
      return { fault: new Fault('log.member-id-required', { member: 'm1' }), memberId: 'm1' }
    const { name, metadata } = request.protocols[0] ?? { name: '', metadata: new Uint8Array(0) }
    const id = request.memberId === '' ? 'm1' : request.memberId
    this.members.set(request.group, { id, metadata, assignment: new Uint8Array(0) })
    return {
      generation: 1,
      protocolType: request.protocolType,
      protocol: name,
      leader: id,
      memberId: id,
      members: [{ id, instanceId: request.instanceId, metadata }],
      skipAssignment: false,
    }
  }
  async sync({ group, assignments }: Parameters<GroupCoordinator['sync']>[0]) {
    const member = this.members.get(group)
    if (member === undefined) return { fault: new Fault('log.unknown-member', { group, member: '' }) }
    member.assignment = assignments[0]?.assignment ?? member.assignment
    return { protocolType: 'consumer', protocol: 'range', assignment: member.assignment }
  }
  async heartbeat({ group, memberId }: Parameters<GroupCoordinator['heartbeat']>[0]) {
    return this.members.has(group) ? null : new Fault('log.unknown-member', { group, member: memberId })
  }
  async leave(group: string, members: readonly { memberId: string }[]) {
    return members.map(({ memberId }) =>
      this.members.delete(group) ? null : new Fault('log.unknown-member', { group, member: memberId }),
    )
  }
  async commit({ group, offsets }: Parameters<GroupCoordinator['commit']>[0]) {
    const kept = this.committed.get(group) ?? new Map<string, Committed>()
    this.committed.set(group, kept)
    for (const one of offsets) kept.set(`${one.partition.topic}/${one.partition.index}`, one)
    return offsets.map(() => null)
  }
  async offsets(group: string, of: readonly Partition[] | null) {
    const kept = this.committed.get(group) ?? new Map<string, Committed>()
    const asked = of ?? [...kept.values()].map(({ partition }) => partition)
    return asked.map((partition) => {
      const one = kept.get(`${partition.topic}/${partition.index}`)
      if (one === undefined) return { partition, offset: -1 as const, leaderEpoch: -1, metadata: null, fault: null }
      return { ...one, fault: null }
    })
  }
  async describe(group: string) {
    const member = this.members.get(group)
    if (member === undefined) return null
    return {
      group,
      state: 'Stable',
      protocolType: 'consumer',
      protocol: 'range',
      members: [{ ...member, instanceId: null, clientId: 'c', host: '/127.0.0.1' }],
    }
  }
  async list() {
    return [...this.members.keys()].map((group) => ({
      group,
      protocolType: 'consumer',
      state: 'Stable',
      type: 'classic' as const,
    }))
  }
  async remove(groups: readonly string[]) {
    return groups.map((group) =>
      this.members.has(group) ? new Fault('log.group-not-empty', { group }) : new Fault('log.unknown-group', { group }),
    )
  }
  async removeOffsets(group: string, of: readonly Partition[]) {
    if (!this.committed.has(group)) throw new Fault('log.unknown-group', { group })
    for (const { topic, index } of of) this.committed.get(group)!.delete(`${topic}/${index}`)
    return of.map(() => null)
  }
}

export const fakeBroker = (): FakeBroker & Broker => new FakeBroker() as unknown as FakeBroker & Broker
