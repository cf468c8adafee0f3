/**
 * Sessions and groups in `_millrace_mqtt` (compacted). A session has two records, for they change differently: what it is
 * (`session/ID`), and where it stands with what is under way to it (`flight/ID`). A message with QoS 2 that came has one of
 * its own (`in/PACKET/ID`), written together with the message itself. Groups: `group/NAME/FILTER`.
 *
 * What changes while a write is under way goes into the next one, once for each session.
 */
import { asFault } from '../../lib/fault.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Clock } from '../../lib/world.ts'
import type { LogRecord, RecordInput } from '../../log/batch.ts'
import { KeptRecords } from '../../log/kept-records.ts'
import type { Log, Partition } from '../../log/log.ts'
import type { Qos, Version, Will } from '../../wire/mqtt/packets.ts'
import type { Properties } from '../../wire/mqtt/properties.ts'
import type { Cursors } from './feed.ts'
import type { Group } from './group.ts'
import type { Place } from '../../log/mqtt-message.ts'
import { isOfDisk } from './outcome.ts'
import type { Outgoing, Session } from './session.ts'

export interface SavedSubscription {
  readonly text: string
  readonly qos: Qos
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  readonly id: number | null
}
export interface SavedSession {
  readonly clientId: string
  readonly user: string
  readonly host: string
  readonly version: Version
  readonly expiryS: number
  /** null: somebody was connected. */
  readonly endedMs: number | null
  readonly willDueMs: number | null
  readonly will: Will | null
  readonly subscriptions: readonly SavedSubscription[]
}
export interface SavedOut {
  readonly id: number
  readonly qos: 1 | 2
  readonly retain: boolean
  readonly ids: readonly number[] | null
  readonly place: Place | null
  readonly group: string | null
  readonly isReleased: boolean
}
export interface SavedFlight {
  readonly cursors: Cursors
  readonly lastId: number
  readonly out: readonly SavedOut[]
  /** Subscriptions that have not been given all that is retained for them. */
  readonly retained?: readonly string[]
}
/** What was there at the start. */
export interface Restored {
  readonly sessions: Map<string, SavedSession>
  readonly flights: Map<string, SavedFlight>
  readonly incoming: Map<string, Set<number>>
  readonly groups: Map<string, Cursors>
}

const stateTopic = '_millrace_mqtt'
const askedAgainEveryMs = 500
const saysFullEveryMs = 10_000
const incomingKey = (clientId: string, id: number): string => `in/${id}/${clientId}`

interface Job {
  whole: boolean
  readonly done: { resolve: () => void; reject: (error: unknown) => void }[]
}

export class Store {
  readonly #clock: Clock
  readonly #logger: Logger
  #kept: KeptRecords | null = null
  #dirty = new Map<Session, Job>()
  readonly #touched = new Set<Session>()
  readonly #touchedGroups = new Set<Group>()
  #running: Promise<void> | null = null
  /** By client identifier: those whose record is older than they are, for it could not be written. */
  readonly #owed = new Map<string, Session>()
  #saysFullAtMs = -Infinity

  private constructor(clock: Clock, logger: Logger) {
    this.#clock = clock
    this.#logger = logger
  }
  static async open({ log, clock, logger }: { log: Log; clock: Clock; logger: Logger }): Promise<[Store, Restored]> {
    const store = new Store(clock, logger)
    const restored: Restored = { sessions: new Map(), flights: new Map(), incoming: new Map(), groups: new Map() }
    const config = { 'max.message.bytes': String(16 * 1024 * 1024) }
    store.#kept = await KeptRecords.open({ log, clock, topic: stateTopic, config }, (record) => take(record, restored))
    return [store, restored]
  }
  get partition(): Partition {
    return this.#kept!.partition
  }

  /** Durable when it resolves; `whole`: what it is, too. */
  save(session: Session, whole: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const job = this.#job(session)
      job.whole ||= whole
      job.done.push({ resolve, reject })
    })
  }
  /** The same for what is under way. Waits for the disk as long as somebody is there who waits. */
  saveFlight(session: Session, isWanted: () => boolean): Promise<void> {
    return this.#withDisk(() => this.save(session, false), isWanted)
  }
  async #withDisk(put: () => Promise<void>, isWanted: () => boolean): Promise<void> {
    for (;;) {
      try {
        return await put()
      } catch (error) {
        if (!isOfDisk(error) || !isWanted()) throw error
        await new Promise<void>((resolve) => this.#clock.after(askedAgainEveryMs, resolve))
        if (!isWanted()) throw error
      }
    }
  }
  #job(session: Session): Job {
    let job = this.#dirty.get(session)
    if (job === undefined) this.#dirty.set(session, (job = { whole: false, done: [] }))
    this.#running ??= this.#run()
    return job
  }
  /** Soon enough. */
  touch(session: Session): void {
    if (session.isKept) this.#touched.add(session)
  }
  touchGroup(group: Group): void {
    this.#touchedGroups.add(group)
  }
  /** Once a second. */
  tick(): void {
    for (const session of this.#touched) if (session.isStored && !session.isOver) this.#job(session)
    this.#touched.clear()
    // While nothing is being written: a record of the same client that is newer comes after it then.
    if (this.#running === null) for (const session of this.#owed.values()) this.#job(session).whole = true
    for (const group of this.#touchedGroups)
      if (group.isStored && group.sessions.size > 0) void this.saveGroup(group).catch((error) => this.#complain(error))
    this.#touchedGroups.clear()
  }
  async saveGroup(group: Group): Promise<void> {
    const isOver = group.sessions.size === 0
    if (isOver && !group.isStored) return
    group.isStored = true
    await this.#put([[`group/${group.key}`, isOver ? null : group.places]])
  }
  /** A record that goes with the message itself. */
  incoming(session: Session, id: number): RecordInput {
    return this.#record(incomingKey(session.clientId, id), 1)
  }
  /** Waits for the disk as long as somebody is there who waits. */
  released({ clientId }: Session, id: number, isWanted: () => boolean): Promise<void> {
    return this.#withDisk(() => this.#put([[incomingKey(clientId, id), null]]), isWanted)
  }
  async close(): Promise<void> {
    this.tick()
    await this.#running
  }

  async #run(): Promise<void> {
    // What changes in this turn shares a batch.
    await new Promise<void>((resolve) => this.#clock.soon(resolve))
    while (this.#dirty.size > 0) {
      const jobs = this.#dirty
      this.#dirty = new Map()
      await Promise.all([...jobs].map(([session, job]) => this.#write(session, job)))
    }
    this.#running = null
  }
  async #write(session: Session, { whole, done }: Job): Promise<void> {
    this.#touched.delete(session)
    const { clientId } = session
    const before = this.#owed.get(clientId)
    try {
      const { sum } = session
      const records = recordsOf(session, whole)
      // What its predecessor could not take away.
      if (before !== undefined && before !== session)
        for (const id of before.incoming) if (!session.incoming.has(id)) records.push([incomingKey(clientId, id), null])
      await this.#put(records)
      session.isStored = true
      session.savedSum = sum
      if (before === this.#owed.get(clientId)) this.#owed.delete(clientId)
      for (const { resolve } of done) resolve()
    } catch (error) {
      if (session.isStored && before === undefined) this.#owed.set(clientId, session)
      this.#complain(error)
      for (const { reject } of done) reject(error)
    }
  }
  #complain(error: unknown): void {
    const fault = asFault(error)
    if (fault.code === 'store.full') {
      // Each second of each session: once is enough.
      const nowMs = this.#clock.monotonic()
      if (nowMs < this.#saysFullAtMs) return
      this.#saysFullAtMs = nowMs + saysFullEveryMs
    }
    if (fault.code !== 'log.closed') this.#logger.error('mqtt: a session was not saved', { error: fault })
  }
  async #put(changes: readonly (readonly [key: string, value: unknown])[]): Promise<void> {
    await this.#kept!.put(changes.map(([key, value]) => this.#record(key, value)))
  }
  #record(key: string, value: unknown): RecordInput {
    const bytes = value === null ? null : Buffer.from(JSON.stringify(value))
    return { key: Buffer.from(key), value: bytes, timeMs: this.#clock.now() }
  }
}

function recordsOf(session: Session, whole: boolean): [string, unknown][] {
  const { clientId, isOver, owedWill } = session
  if (isOver && owedWill === null)
    return [
      [`session/${clientId}`, null],
      [`flight/${clientId}`, null],
      ...[...session.incoming].map((id): [string, null] => [incomingKey(clientId, id), null]),
    ]
  const flight: SavedFlight = {
    cursors: session.places,
    lastId: session.lastId,
    out: [...session.out.values()].filter(({ place }) => place !== null).map(savedOut),
    retained: session.retainedOwed,
  }
  const records: [string, unknown][] = [[`flight/${clientId}`, flight]]
  if (whole || !session.isStored) records.push([`session/${clientId}`, savedSession(session)])
  return records
}
const savedOut = ({ id, qos, retain, ids, place, group, isReleased }: Outgoing): SavedOut => ({
  id,
  qos,
  retain,
  ids,
  place,
  group: group?.key ?? null,
  isReleased,
})
function savedSession(session: Session): unknown {
  const { clientId, subject, version, expiryS, endedMs, subscriptions } = session
  const will = session.will ?? session.owedWill
  const willDueMs = session.will === null && will !== null ? 0 : session.willDueMs
  return {
    clientId,
    user: subject.principal.name,
    host: subject.host,
    version,
    expiryS,
    endedMs,
    willDueMs,
    will: will === null ? null : packed(will),
    subscriptions: [...subscriptions.values()].map(({ text, qos, noLocal, retainAsPublished, id }) => ({
      text,
      qos,
      noLocal,
      retainAsPublished,
      id,
    })),
  }
}
interface PackedWill extends Omit<Will, 'payload' | 'properties'> {
  readonly payload: string
  readonly properties: Properties | null
  readonly correlation: string | null
}
function packed({ payload, properties, ...will }: Will): PackedWill {
  const { correlationData, ...others } = properties ?? {}
  return {
    ...will,
    payload: Buffer.from(payload).toString('base64'),
    properties: properties === null ? null : others,
    correlation: correlationData === undefined ? null : Buffer.from(correlationData).toString('base64'),
  }
}
function unpacked({ payload, properties, correlation, ...will }: PackedWill): Will {
  return {
    ...will,
    payload: Buffer.from(payload, 'base64'),
    properties:
      correlation === null ? properties : { ...properties, correlationData: Buffer.from(correlation, 'base64') },
  }
}

function take({ key, value }: LogRecord, { sessions, flights, incoming, groups }: Restored): void {
  const text = Buffer.from(key ?? []).toString()
  const slash = text.indexOf('/')
  const kind = text.slice(0, slash)
  const name = text.slice(slash + 1)
  const json = (): unknown => JSON.parse(Buffer.from(value!).toString())
  if (kind === 'session') {
    if (value === null) sessions.delete(name)
    else {
      const saved = json() as SavedSession & { readonly will: PackedWill | null }
      sessions.set(name, { ...saved, will: saved.will === null ? null : unpacked(saved.will) })
    }
  } else if (kind === 'flight') {
    if (value === null) flights.delete(name)
    else flights.set(name, json() as SavedFlight)
  } else if (kind === 'group') {
    if (value === null) groups.delete(name)
    else groups.set(name, json() as Cursors)
  } else if (kind === 'in') {
    const [id = '', ...rest] = name.split('/')
    const clientId = rest.join('/')
    const ids = incoming.get(clientId) ?? new Set()
    if (value === null) ids.delete(Number(id))
    else ids.add(Number(id))
    incoming.set(clientId, ids)
  }
}
