/** GET records: a page, lines, or a live tail. */
import { Fault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import type { TopicInfo } from '../../../log/log.ts'
import { onTopic } from '../access.ts'
import { type Answer, type Exchange, type LiveEvent, mediaTypes, negotiate } from '../exchange.ts'
import { liveAnswer } from '../live.ts'
import { invalid, wholeNumber, yesOrNo } from '../parameters.ts'
import type { Parts } from '../parts.ts'
import { recordJson } from '../record-json.ts'
import {
  type Filter,
  type Found,
  Merge,
  type Places,
  type Range,
  follow,
  passes,
  placesText,
  readFilter,
  readPlaces,
  startOf,
} from '../record-source.ts'
import type { Route } from '../route.ts'
import { schemas } from '../schemas.ts'
import { existingTopic } from './topic-lookup.ts'

const pageDefault = 100
/** So long does a page look for what a filter lets pass. */
const searchMs = 250
/** Text of one page; one record always fits. */
const pageBytes = 8 * 1024 * 1024

/** Events in one piece of a live stream. */
const eventsAtOnce = 200

interface Asked {
  readonly topic: TopicInfo
  readonly partition: number | null
  readonly filter: Filter | null
  readonly asBytes: boolean
}

export function recordsRoute(parts: Parts): Route {
  const text = (says: string) => ({ says, schema: { type: 'string' } })
  return {
    method: 'GET',
    path: '/v1/topics/{topic}/records',
    id: 'readRecords',
    access: onTopic('read'),
    says: 'Records of a topic, those of several partitions merged by time; as a live tail with Accept: text/event-stream.',
    query: {
      partition: { says: 'Only this one.', schema: { type: 'integer', minimum: 0 } },
      from: text(
        'earliest, latest, an offset, -N (so many before the end), a time, or partition:offset,… A page begins at earliest, a tail at latest.',
      ),
      until: text('partition:offset,…: stops before these.'),
      limit: {
        says: `Records at most; ${pageDefault} on a page, all there are as lines.`,
        schema: { type: 'integer', minimum: 0, maximum: limits.httpPageRecords },
      },
      where: text('A condition over the fields and pseudo-columns, as after WHERE.'),
      bytes: { says: 'Payloads as base64, byte for byte.', schema: { type: 'boolean' } },
      lastEventId: text('Of a tail: as the header Last-Event-ID, for a WebSocket of a browser, which can send none.'),
    },
    headers: {
      'Last-Event-ID': { says: 'Goes on behind the event of a tail that had this id.', schema: { type: 'string' } },
    },
    gives: {
      200: {
        says: 'The records.',
        as: {
          [mediaTypes.json]: schemas.RecordPage,
          [mediaTypes.ndjson]: schemas.Record,
          [mediaTypes.sse]: schemas.Record,
        },
      },
    },
    handle: (exchange) => read(parts, exchange),
  }
}

async function read(parts: Parts, exchange: Exchange): Promise<Answer> {
  const { query, headers } = exchange
  const type = negotiate(headers['accept'], [mediaTypes.json, mediaTypes.ndjson, mediaTypes.sse])
  const topic = await existingTopic(parts, exchange.params['topic']!)
  const partition = query.get('partition')
  const asked: Asked = {
    topic,
    partition:
      partition === null ? null : wholeNumber('partition', partition, { min: 0, max: limits.partitionsPerTopic }),
    filter: readFilter(parts.engine, topic.name, query.get('where')),
    asBytes: yesOrNo('bytes', query.get('bytes') ?? 'false'),
  }
  if (type === mediaTypes.sse) return tail(parts, exchange, asked)
  const id = query.get('lastEventId')
  if (id !== null) throw invalid('lastEventId', id, 'only a live tail goes on behind an event')
  const range = await startOf(parts.log, topic, query.get('from') ?? 'earliest', asked.partition)
  const merge = new Merge(parts.log, topic.name, range, readUntil(query.get('until')))
  return type === mediaTypes.json ? page(parts, exchange, asked, merge) : lines(exchange, asked, merge)
}
function readUntil(text: string | null): Places | null {
  if (text === null) return null
  const places = readPlaces(text)
  if (places === null) throw invalid('until', text, 'partition:offset,… is wanted')
  return places
}
const readLimit = (text: string, max: number): number => wholeNumber('limit', text, { min: 0, max })

async function page(
  parts: Parts,
  { query, signal, usage }: Exchange,
  { filter, asBytes }: Asked,
  merged: Merge,
): Promise<Answer> {
  using merge = merged
  const limit = readLimit(query.get('limit') ?? String(pageDefault), limits.httpPageRecords)
  const { clock } = parts.world
  const end = clock.monotonic() + searchMs
  const records: string[] = []
  let bytes = 0
  let scanned = 0
  let done = usage.busy()
  const waiting = async <T>(wait: () => Promise<T>): Promise<T> => {
    done()
    const found = await wait()
    done = usage.busy()
    return found
  }
  while (records.length < limit && bytes < pageBytes && !signal.aborted) {
    // The clock is asked once in a while only: filters are fast.
    if ((scanned & 63) === 63 && clock.monotonic() > end) break
    const found = merge.ready() ?? (await waiting(() => merge.next()))
    if (found === null) break
    scanned++
    if (!passes(filter, found.partition, found.record)) continue
    const json = recordJson(found.partition.index, found.record, asBytes)
    bytes += json.length
    records.push(json)
  }
  done()
  const next = [...merge.places()].map(([index, offset]) => `{"partition":${index},"offset":${offset}}`).join(',')
  const body = `{"records":[${records.join(',')}],"next":[${next}],"scanned":${scanned},"atEnd":${merge.atEnd}}`
  return { status: 200, headers: { 'content-type': mediaTypes.json }, body }
}

function lines({ query, signal, usage }: Exchange, { filter, asBytes }: Asked, merge: Merge): Answer {
  const given = query.get('limit')
  const limit = given === null ? Infinity : readLimit(given, Number.MAX_SAFE_INTEGER)
  return { status: 200, headers: { 'content-type': mediaTypes.ndjson }, body: lineText() }

  async function* lineText(): AsyncIterable<string> {
    using _ = merge
    let text = ''
    let first = await merge.next()
    for (let count = 0; first !== null && count < limit && !signal.aborted; first = await merge.next()) {
      const done = usage.busy()
      for (let found: Found | null = first; found !== null && count < limit; found = merge.ready()) {
        if (!passes(filter, found.partition, found.record)) continue
        count++
        text += `${recordJson(found.partition.index, found.record, asBytes)}\n`
        if (text.length >= 64 * 1024) break
      }
      done()
      if (text.length < 64 * 1024) continue
      yield text
      text = ''
    }
    yield text
  }
}

/**
 * An event's id says the last offset seen in every partition, so that a reader that comes back with it misses nothing
 * and sees nothing twice.
 */
async function tail(parts: Parts, exchange: Exchange, asked: Asked): Promise<Answer> {
  const { topic, partition } = asked
  if (partition === null && topic.partitions > limits.httpTailPartitions)
    throw new Fault('http.over-limit', {
      what: 'partitions in one tail (choose one with ?partition=)',
      max: limits.httpTailPartitions,
    })
  const last = exchange.query.get('lastEventId') ?? exchange.headers['last-event-id']
  const range =
    last === undefined || last === ''
      ? await startOf(parts.log, topic, exchange.query.get('from') ?? 'latest', partition)
      : await resume(parts, asked, last)
  return liveAnswer(events(parts, exchange, asked, range.from))
}
async function resume(parts: Parts, { topic, partition }: Asked, last: string): Promise<Range> {
  const seen = readPlaces(last)
  if (seen === null) throw invalid('Last-Event-ID', last, 'an id of this stream is wanted: partition:offset,…')
  const next = new Map([...seen].map(([index, offset]) => [index, offset + 1]))
  // A partition that was not there then is new: all of it is.
  return startOf(parts.log, topic, placesText(next), partition)
}
async function* events(
  parts: Parts,
  { signal, usage }: Exchange,
  asked: Asked,
  from: Places,
): AsyncGenerator<LiveEvent | readonly LiveEvent[]> {
  const { log } = parts
  const seen = new Map([...from].map(([index, offset]) => [index, offset - 1]))
  // A reader that is cut off before the first record comes back to where it was.
  yield { id: placesText(seen) }
  const eventOf = ({ partition, record }: Found): LiveEvent | null => {
    seen.set(partition.index, record.offset)
    if (!passes(asked.filter, partition, record)) return null
    const json = recordJson(partition.index, record, asked.asBytes)
    return { event: 'record', id: placesText(seen), json }
  }
  for await (const found of follow({ log, topic: asked.topic.name, from, signal }))
    for (let at = 0; at < found.length; at += eventsAtOnce) {
      const some = found.slice(at, at + eventsAtOnce)
      const ready = usage.timed(() => some.map(eventOf).filter((event) => event !== null))
      // The place moves on although the last records were not shown.
      yield [...ready, { id: placesText(seen) }]
    }
}
