import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatPositions, joinRecords, readPositions, readStart, search } from '../../console/src/lib/browse.ts'
import type { Place, Progress, ReadPage, Search } from '../../console/src/lib/browse.ts'
import type { RecordJson, RecordPage } from '../../src/gateway/http/api.ts'

type Log = readonly (readonly RecordJson[])[]
const startMs = Date.parse('2026-01-01T00:00:00Z')

/** Partitions of `sizes` records, times rising over all of them in turn. */
function logOf(sizes: readonly number[]): Log {
  return sizes.map((size, partition) =>
    Array.from({ length: size }, (_, offset) => ({
      partition,
      offset,
      timestamp: new Date(startMs + (offset * sizes.length + partition) * 1000).toISOString(),
      key: null,
      value: { json: { n: offset } },
      headers: [],
    })),
  )
}
const boundsOf = (log: Log, start = 0) =>
  log.map((records, partition) => ({
    partition,
    start: Math.min(start, records.length),
    stable: records.length,
    end: records.length,
    bytes: 0,
  }))

/** Answers as api.ts says: merged by time, at most `scanMax` looked at with a filter. */
function readerOf(
  log: Log,
  matches: (r: RecordJson) => boolean,
  scanMax: number,
): { read: ReadPage; pages: Record<string, string>[] } {
  const pages: Record<string, string>[] = []
  const read: ReadPage = async (query) => {
    pages.push({ ...query })
    const from = query['from'] ?? ''
    const until = readPositions(query['until'] ?? '') ?? new Map<number, number>()
    const at = new Map(
      readPositions(from) ??
        log.map((records, p): [number, number] => [
          p,
          records.findIndex((r) => r.timestamp >= from) < 0
            ? records.length
            : records.findIndex((r) => r.timestamp >= from),
        ]),
    )
    const next = (): RecordJson | undefined =>
      [...at]
        .flatMap(([p, offset]) => (offset < (until.get(p) ?? Infinity) ? [log[p]![offset]] : []))
        .filter((r) => r !== undefined)
        .sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1))[0]
    const records: RecordJson[] = []
    let scanned = 0
    for (let r = next(); r !== undefined && records.length < Number(query['limit']) && scanned < scanMax; r = next()) {
      at.set(r.partition, r.offset + 1)
      scanned++
      if (matches(r)) records.push(r)
    }
    return {
      records,
      scanned,
      atEnd: next() === undefined,
      next: [...at].map(([partition, offset]) => ({ partition, offset })),
    } satisfies RecordPage
  }
  return { read, pages }
}
const ask = (more: Partial<Search> = {}): Search => ({
  topic: 't',
  partition: null,
  start: { at: 'newest' },
  where: '',
  limit: 5,
  ...more,
})
const ids = (records: readonly RecordJson[]): string[] => records.map((r) => `${r.partition}:${r.offset}`)

async function last(steps: AsyncIterable<Progress>): Promise<Progress> {
  let held: Progress | null = null
  for await (const step of steps) held = step
  assert.ok(held !== null, 'the search said nothing')
  return held
}

test('newest first takes the newest of all partitions together', async () => {
  const log = logOf([10, 10])
  const found = await last(search(ask(), boundsOf(log), readerOf(log, () => true, 1e9).read))
  assert.deepEqual(ids(found.records), ['1:9', '0:9', '1:8', '0:8', '1:7'])
  assert.equal(found.done, 'enough')
})

test('a search that is stopped anywhere, or has enough, goes on without a gap or a double, to its end', async () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 60 }), { minLength: 1, maxLength: 4 })
  const steps = fc.infiniteStream(fc.integer({ min: 1, max: 3 }))
  const start = fc.constantFrom<Search['start']>({ at: 'newest' }, { at: 'earliest' })
  await fc.assert(
    fc.asyncProperty(
      sizes,
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 9 }),
      start,
      steps,
      async (of, limit, rarity, scanMax, at, stops) => {
        const log = logOf(of)
        const matches = (r: RecordJson): boolean => (r.offset + r.partition) % rarity === 0
        const { read } = readerOf(log, matches, scanMax)
        const asked = ask({ limit, where: rarity > 1 ? 'w' : '', start: at })
        let seen: RecordJson[] = []
        let runs = 0
        let place: Place | null = null
        for (let ended = false; !ended;) {
          let held: Progress | null = null
          let left = stops.next().value ?? 1
          for await (const step of search(asked, boundsOf(log), read, place)) {
            held = step
            if (--left === 0) break
          }
          if (held === null) break
          seen = joinRecords(asked, seen, held.records)
          place = held.place
          ended = held.done === 'end'
          assert.ok(++runs < 2000, 'it goes on for ever')
        }
        assert.deepEqual(ids(seen).sort(), log.flatMap((records) => ids(records.filter(matches))).sort())
      },
    ),
    { numRuns: 150 },
  )
})

test('a filter newest first finds every match, however rare, and counts what it looked at', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1, maxLength: 3 }),
      fc.integer({ min: 1, max: 4000 }),
      async (sizes, rarity) => {
        const log = logOf(sizes)
        const matches = (r: RecordJson): boolean => r.offset % rarity === 0
        const { read } = readerOf(log, matches, 1500)
        const found = await last(search(ask({ where: 'n', limit: 1e6 }), boundsOf(log), read))
        const all = log.flatMap((records) => ids(records.filter(matches)))
        assert.deepEqual([...ids(found.records)].sort(), all.sort())
        assert.equal(found.done, 'end')
        assert.equal(
          found.scanned,
          sizes.reduce((a, b) => a + b, 0),
        )
      },
    ),
    { numRuns: 25 },
  )
})

test('a filter reports progress before it is done, and what remains shrinks to nothing', async () => {
  const log = logOf([20_000])
  const { read } = readerOf(log, (r) => r.offset === 3, 1000)
  const remaining: (number | null)[] = []
  let found: Progress | null = null
  for await (const step of search(ask({ where: 'n = 3' }), boundsOf(log), read)) {
    remaining.push(step.remaining)
    found = step
  }
  assert.ok(remaining.length > 10)
  assert.deepEqual(
    remaining,
    [...remaining].sort((a, b) => b! - a!),
  )
  assert.equal(remaining.at(-1), 0)
  assert.deepEqual(ids(found!.records), ['0:3'])
})

test('from an offset, a time and the beginning: what lies there, in order of time', async () => {
  const log = logOf([10, 10])
  const { read } = readerOf(log, () => true, 1e9)
  const at = async (start: Search['start'], more: Partial<Search> = {}): Promise<string[]> =>
    ids((await last(search(ask({ start, limit: 3, ...more }), boundsOf(log), read))).records)
  assert.deepEqual(await at({ at: 'earliest' }), ['0:0', '1:0', '0:1'])
  assert.deepEqual(await at({ at: 'offset', offset: 4 }), ['0:4', '1:4', '0:5'])
  assert.deepEqual(await at({ at: 'offset', offset: 99 }), [])
  assert.deepEqual(await at({ at: 'time', iso: new Date(startMs + 4001).toISOString() }), ['1:2', '0:3', '1:3'])
  assert.deepEqual(await at({ at: 'offset', offset: 8 }, { partition: 1 }), ['1:8', '1:9'])
})

test('an offset below what is kept begins at what is kept', async () => {
  const log = logOf([10])
  const { read, pages } = readerOf(log, () => true, 1e9)
  await last(search(ask({ start: { at: 'offset', offset: 2 } }), boundsOf(log, 6), read))
  assert.equal(pages[0]!['from'], '0:6')
})

test('a server that does not move is an error, not an endless search', async () => {
  const log = logOf([10])
  const stuck: ReadPage = async () => ({ records: [], scanned: 0, atEnd: false, next: [{ partition: 0, offset: 0 }] })
  await assert.rejects(last(search(ask({ start: { at: 'earliest' } }), boundsOf(log), stuck)), /stands still/)
  await assert.rejects(last(search(ask({ where: 'x' }), boundsOf(log), stuck)), /stands still/)
})

test('starts are read as the address writes them', () => {
  assert.deepEqual(readStart(''), { at: 'newest' })
  assert.deepEqual(readStart('42'), { at: 'offset', offset: 42 })
  assert.deepEqual(readStart('0:1,2:33'), {
    at: 'positions',
    positions: new Map([
      [0, 1],
      [2, 33],
    ]),
  })
  assert.deepEqual(readStart('2026-01-01T00:00:00.123Z'), { at: 'time', iso: '2026-01-01T00:00:00.123Z' })
  assert.deepEqual(readStart('nonsense'), { at: 'newest' })
  assert.deepEqual(readStart('-50'), { at: 'newest' }, 'which Date.parse takes for a year')
  assert.equal(
    formatPositions(
      new Map([
        [0, 1],
        [2, 33],
      ]),
    ),
    '0:1,2:33',
  )
})
