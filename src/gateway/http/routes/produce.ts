/** POST records: read, give keys, check against the contract, place, answer. */
import { Fault, asFault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import type { RecordInput } from '../../../log/batch.ts'
import type { TopicInfo } from '../../../log/log.ts'
import { encodeOrigin } from '../../../log/origin.ts'
import { type Contract, keyFromFields } from '../../../schema/contracts.ts'
import { ensureQuarantine, quarantined } from '../../../schema/quarantine.ts'
import { onTopic } from '../access.ts'
import { type Answer, type Exchange, knownType, mediaType, mediaTypes } from '../exchange.ts'
import { Idempotency, type Stored, fingerprintOf, readIdempotencyKey } from '../idempotency.ts'
import { type Defaults, type Incoming, readDefaults, readIncoming, readLine } from '../incoming.ts'
import { oneOf } from '../parameters.ts'
import type { Parts } from '../parts.ts'
import { Placing, type Target } from '../../../log/placing.ts'
import { type Outcome, outcomeJson, statusOf } from '../outcome.ts'
import type { Acks, Placed } from '../../../log/producer.ts'
import type { Route } from '../route.ts'
import { schemas } from '../schemas.ts'
import { answerLines } from './produce-lines.ts'
import { writableTopic } from './topic-lookup.ts'

const outcomeOf = (placed: Placed | Fault): Outcome =>
  placed instanceof Fault ? { fault: placed, kept: false } : placed

type Place = (targets: readonly Target[]) => Promise<readonly Placed[]>
interface Prepared {
  readonly target: Target
  /** Why it does not fit; null = it does, or the contract lets it in. */
  readonly fault: Fault | null
}

class Produce {
  readonly #parts: Parts
  readonly #placing: Placing
  readonly #idempotency: Idempotency

  constructor(parts: Parts) {
    this.#parts = parts
    this.#placing = new Placing(parts)
    this.#idempotency = new Idempotency({ clock: parts.world.clock, log: parts.log, commits: parts.commits })
  }

  async answer(exchange: Exchange): Promise<Answer> {
    const topic = await writableTopic(this.#parts, exchange.params['topic']!)
    const acks = readAcks(exchange)
    const defaults = readDefaults(exchange)
    const lines = knownType(mediaType(exchange.headers['content-type'])) === mediaTypes.ndjson
    const key = exchange.headers['idempotency-key']
    if (key !== undefined) return this.#once(exchange, topic, defaults, readIdempotencyKey(key), lines)
    if (lines) return answerLines(exchange, (records) => this.#each(topic, records, defaults, acks))
    const body = await exchange.body.whole()
    const place: Place = (targets) => this.#placing.place(targets, acks)
    const answer = produced(await this.#whole(topic, exchange, body, defaults, place))
    return { ...answer, headers: { 'content-type': mediaTypes.json } }
  }

  /** All or nothing. */
  async #whole(
    topic: TopicInfo,
    { headers, usage }: Exchange,
    body: Uint8Array,
    defaults: Defaults,
    place: Place,
  ): Promise<readonly Outcome[]> {
    const contract = this.#parts.contracts.get(topic.name)
    const { prepared, several } = usage.timed(() => this.#read(topic, contract, headers, body, defaults))
    if (contract?.onInvalid !== 'quarantine') prepared.forEach(({ fault }, i) => refuse(fault, several ? i : null))
    const targets = await this.#quarantineTargets(topic, prepared)
    const placed = targets.length === 0 ? [] : await place(targets)
    return prepared.map(({ fault }, i) => (fault === null ? placed[i]! : { fault, kept: true }))
  }
  #read(
    topic: TopicInfo,
    contract: Contract | null,
    headers: Exchange['headers'],
    body: Uint8Array,
    defaults: Defaults,
  ): { prepared: readonly Prepared[]; several: boolean } {
    try {
      const { records, several } = readIncoming(headers, body, defaults)
      return { prepared: records.map((record) => this.#prepare(topic, contract, record)), several }
    } catch (error) {
      const fault = asFault(error)
      const plain = mediaType(headers['content-type']) === mediaTypes.json && headers['ce-specversion'] === undefined
      if (fault.code !== 'json.malformed' || !plain) throw fault
      // A body that is no JSON is one event that does not fit: the contract says what becomes of it.
      return { prepared: [this.#misfit(topic, contract, { ...defaults, value: body }, fault)], several: false }
    }
  }
  /**
   * Each for itself, in order: the lines of a stream. Good lines are on their way before anything is waited for, so that
   * those of the next piece come behind them.
   */
  async #each(
    topic: TopicInfo,
    lines: readonly (Uint8Array | Fault)[],
    defaults: Defaults,
    acks: Acks,
  ): Promise<readonly Outcome[]> {
    const contract = this.#parts.contracts.get(topic.name)
    const prepared = lines.map((line): Prepared | Fault => {
      try {
        return this.#prepareLine(topic, contract, line, defaults)
      } catch (error) {
        return asFault(error)
      }
    })
    const good = prepared.filter((one): one is Prepared => !(one instanceof Fault) && one.fault === null)
    const placing = this.#placing.placeEach(
      good.map(({ target }) => target),
      acks,
    )
    const keeps = contract?.onInvalid === 'quarantine'
    const bad = keeps ? prepared.filter((one): one is Prepared => !(one instanceof Fault) && one.fault !== null) : []
    const keeping = bad.length === 0 ? [] : this.#keepEach(topic, bad, acks)
    const stored = (await placing)[Symbol.iterator]()
    const kept = (await keeping)[Symbol.iterator]()
    return prepared.map((one): Outcome => {
      if (one instanceof Fault) return { fault: one, kept: false }
      if (one.fault === null) return outcomeOf(stored.next().value!)
      if (!keeps) return { fault: one.fault, kept: false }
      const place = kept.next().value!
      return place instanceof Fault ? { fault: place, kept: false } : { fault: one.fault, kept: true }
    })
  }
  async #keepEach(topic: TopicInfo, bad: readonly Prepared[], acks: Acks): Promise<readonly (Placed | Fault)[]> {
    try {
      return await this.#placing.placeEach(await this.#quarantineTargets(topic, bad), acks)
    } catch (error) {
      const fault = asFault(error)
      return bad.map(() => fault)
    }
  }
  /** A line that is not JSON is an event that does not fit: where bad events are kept, it is kept too. */
  #prepareLine(topic: TopicInfo, contract: Contract | null, line: Uint8Array | Fault, defaults: Defaults): Prepared {
    if (line instanceof Fault) throw line
    try {
      return this.#prepare(topic, contract, readLine(line, defaults))
    } catch (error) {
      const fault = asFault(error)
      if (fault.code !== 'json.malformed') throw fault
      return this.#misfit(topic, contract, { ...defaults, value: line }, fault)
    }
  }
  #misfit(topic: TopicInfo, contract: Contract | null, incoming: Incoming, fault: Fault): Prepared {
    const { key = null } = incoming
    return { target: this.#target(topic, { ...incoming, key }), fault: contract?.onInvalid === 'null' ? null : fault }
  }

  #prepare(topic: TopicInfo, contract: Contract | null, incoming: Incoming): Prepared {
    const { contracts } = this.#parts
    const target = this.#target(topic, incoming)
    if (contract === null) return { target, fault: null }
    // A key that was taken from the value cannot differ from it.
    const key = incoming.key === undefined ? null : target.record.key
    const { value } = target.record
    const { parsed } = incoming
    const fault = contracts.check(topic.name, parsed === undefined ? { key, value } : { key, value, parsed })
    return { target, fault: contract.onInvalid === 'null' && fault?.code !== 'schema.key-mismatch' ? null : fault }
  }
  #target(topic: TopicInfo, { key, value, headers, timeMs, partition, parsed }: Incoming): Target {
    if (headers.length > limits.recordHeaders)
      throw new Fault('http.over-limit', { what: 'headers of a record', max: limits.recordHeaders })
    const record: RecordInput = {
      key: key === undefined ? this.#keyOf(topic.name, value, parsed !== undefined) : key,
      value,
      headers,
      timeMs: timeMs ?? this.#parts.world.clock.now(),
    }
    return { topic, partition: partition ?? null, record }
  }
  /** By the contract's key field, else by the key of the stream or table over the topic. */
  #keyOf(topic: string, value: Uint8Array | null, checked: boolean): Uint8Array | null {
    const { contracts, engine } = this.#parts
    const key = contracts.keyOf(topic, value, checked)
    if (key !== null || value === null) return key
    const columns = engine.keyColumns(topic)
    return columns.length === 0 ? null : keyFromFields(columns, value, checked)
  }
  async #quarantineTargets(topic: TopicInfo, prepared: readonly Prepared[]): Promise<readonly Target[]> {
    if (prepared.every(({ fault }) => fault === null)) return prepared.map(({ target }) => target)
    const kept = await ensureQuarantine(this.#parts.log, topic)
    return prepared.map(({ target, fault }) =>
      fault === null
        ? target
        : { ...target, topic: kept, record: quarantined(target.record, fault, neverReached(topic, target)) },
    )
  }

  async #once(exchange: Exchange, topic: TopicInfo, defaults: Defaults, key: string, lines: boolean): Promise<Answer> {
    const body = await exchange.body.whole()
    const request = { topicId: topic.id, key, fingerprint: fingerprint(exchange, body) }
    const { answer, replayed } = await this.#idempotency.once(request, async (append) => {
      const place: Place = (targets) => this.#placing.stage(targets, append)
      return produced(
        lines
          ? await this.#linesAtOnce(topic, body, defaults, place)
          : await this.#whole(topic, exchange, body, defaults, place),
      )
    })
    const headers = { 'content-type': mediaTypes.json, ...(replayed ? { 'idempotent-replayed': 'true' } : {}) }
    return { status: answer.status, headers, body: answer.body }
  }
  /** The lines of a body that is kept under a key: the good ones in the one tick, a fault for each bad one. */
  async #linesAtOnce(
    topic: TopicInfo,
    body: Uint8Array,
    defaults: Defaults,
    place: Place,
  ): Promise<readonly Outcome[]> {
    const contract = this.#parts.contracts.get(topic.name)
    const keep = contract?.onInvalid === 'quarantine'
    const prepared = splitLines(body).map((line) => this.#prepareLine(topic, contract, line, defaults))
    const stored = prepared.filter(({ fault }) => keep || fault === null)
    const placed = stored.length === 0 ? [] : await place(await this.#quarantineTargets(topic, stored))
    let next = 0
    return prepared.map(({ fault }) => {
      if (fault !== null && !keep) return { fault, kept: false }
      const at = placed[next++]!
      return fault === null ? at : { fault, kept: true }
    })
  }
}

function splitLines(body: Uint8Array): Uint8Array[] {
  const lines: Uint8Array[] = []
  for (let from = 0; from < body.length;) {
    const found = body.indexOf(0x0a, from)
    const to = found < 0 ? body.length : found
    const line = body.subarray(from, to)
    if (Buffer.from(line).toString('latin1').trim() !== '') lines.push(line)
    if (lines.length > limits.httpRecords)
      throw new Fault('http.over-limit', { what: 'records in one request', max: limits.httpRecords })
    from = to + 1
  }
  return lines
}

/** An event that was refused at the door has no offset: its range in the topic is empty. */
function neverReached(topic: TopicInfo, { partition }: Target): Uint8Array {
  return encodeOrigin({ ranges: [{ topicId: topic.id, partition: partition ?? 0, first: 0, last: -1 }], state: false })
}

/** Which of several it was stands before the field. */
function refuse(fault: Fault | null, index: number | null): void {
  if (fault === null) return
  if (index === null) throw fault
  const facts = fault.facts as Readonly<Record<string, unknown>>
  const inner = typeof facts['field'] === 'string' ? facts['field'] : ''
  const field = `[${index}]${inner === '' || inner.startsWith('[') ? '' : '.'}${inner}`
  throw new Fault(fault.code, { ...facts, field } as never, fault)
}

function fingerprint({ headers, query }: Exchange, body: Uint8Array): string {
  const named = Object.keys(headers)
    .filter((name) => name === 'content-type' || name.startsWith('millrace-') || name.startsWith('ce-'))
    .sort()
    .flatMap((name) => [name, headers[name]!])
  return fingerprintOf([...named, query.toString(), body])
}

function readAcks({ query }: Exchange): Acks {
  switch (oneOf('acks', query.get('acks') ?? 'all', ['all', '-1', 'leader', '1', 'none', '0'])) {
    case 'leader':
    case '1':
      return 'leader'
    case 'none':
    case '0':
      return 'none'
    default:
      return 'all'
  }
}

function produced(outcomes: readonly Outcome[]): Stored {
  return { status: statusOf(outcomes), body: JSON.stringify({ records: outcomes.map(outcomeJson) }) }
}
export function produceRoute(parts: Parts): Route {
  const produce = new Produce(parts)
  return {
    method: 'POST',
    path: '/v1/topics/{topic}/records',
    id: 'produce',
    access: onTopic('write'),
    says: 'Stores events. A JSON array is all or nothing; NDJSON lines are answered one by one.',
    query: {
      key: { says: 'Key of every record in the body.', schema: { type: 'string' } },
      timestamp: {
        says: 'ISO 8601 or milliseconds since 1970; the time of arrival otherwise.',
        schema: { type: 'string' },
      },
      partition: { says: 'Partition, whatever the key.', schema: { type: 'integer', minimum: 0 } },
      acks: {
        says: 'all: answered when durable. leader: when written. none: at once.',
        schema: { enum: ['all', '-1', 'leader', '1', 'none', '0'] },
      },
    },
    headers: {
      'Millrace-Key': { says: 'As ?key=, in bytes.', schema: { type: 'string' } },
      'Millrace-Timestamp': { says: 'As ?timestamp=.', schema: { type: 'string' } },
      'Idempotency-Key': {
        says: 'The same key within 24 hours gives the first answer again; with another body it is refused.',
        schema: { type: 'string', maxLength: limits.idempotencyKeyLength },
      },
    },
    takes: {
      [mediaTypes.json]: {},
      [mediaTypes.records]: schemas.Records,
      [mediaTypes.ndjson]: {},
      [mediaTypes.event]: schemas.CloudEvent,
      [mediaTypes.events]: { type: 'array', items: schemas.CloudEvent },
      '*/*': { type: 'string', format: 'binary' },
    },
    gives: {
      200: { says: 'Stored.', as: { [mediaTypes.json]: schemas.Produced, [mediaTypes.ndjson]: schemas.ProducedOne } },
      207: {
        says: 'Some are stored, some are refused or kept in the quarantine.',
        as: { [mediaTypes.json]: schemas.Produced, [mediaTypes.ndjson]: schemas.ProducedOne },
      },
    },
    handle: (exchange) => produce.answer(exchange),
  }
}
