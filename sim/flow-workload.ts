/**
 * Views in SQL over a stream and a table, through several lives of one data folder, on a disk that may fail. Each life ends
 * in a kill or a power cut at a random moment, also while state is read again. Senders repeat what was not answered, so
 * events come twice; partitions come in any order, and event times are out of order within what the watermark allows.
 * Steps are cut into one to three parts, and into another number after a crash. In the last life reading may fail for a while: views
 * that fail by it come back by themselves.
 * Now and then a tick of somebody else dies with the process, in the middle of a view's topic.
 * Now and then rows say the watermark, and partitions are aligned: neither may change what comes of it.
 * Held at the end, for each view: what its topic holds adds up to what the same query answers over the stream and the table
 * as they are, and rows of views that only add are there once. The first is also held at some starts, at once behind FLUSH.
 */
import assert from 'node:assert/strict'
import { offset } from '../src/lib/brand.ts'
import { silent } from '../src/lib/logger.ts'
import { SeededRandom } from '../src/lib/sim/random.ts'
import { type Simulation, simulate } from '../src/lib/sim/world.ts'
import { type LogRecord, decodeBatch, encodeBatch } from '../src/log/batch.ts'
import { environmentSettings, protocols, resolveConfig } from '../src/node/config.ts'
import { type Running, startMillrace } from '../src/node/millrace.ts'
import { failing } from './lives.ts'

export interface FlowRun {
  readonly lives: number
  readonly events: number
  /** Sent again because nobody answered. */
  readonly twice: number
  readonly views: readonly string[]
  readonly rows: number
  /** Starts of views by themselves, after reading had failed. */
  readonly restarts: number
  readonly trace: string
}
export interface FlowRunOptions {
  readonly failures?: boolean
}

/** Of a view's topic: newest row per key; changes with weights; rows that stand; change events of Debezium. */
type Form = 'keyed' | 'weighted' | 'added' | 'events'
interface View {
  readonly sql: string
  /** Which rows are compared: not those of the events that only move the watermark on. */
  readonly where?: string
  readonly options?: string
}
const grows = 'allow_unbounded_state = true'
const asEvents = "format = 'debezium-json'"
const views: Readonly<Record<string, View>> = {
  counts: { sql: 'SELECT k, count(*) AS c, sum(n) AS s, min(n) AS lo, max(n) AS hi FROM s GROUP BY k' },
  odd: { sql: 'SELECT id, n FROM s WHERE n % 2 = 1' },
  distincts: {
    sql: 'SELECT k, count(DISTINCT n) AS d, count(*) FILTER (WHERE n > 5) AS f FROM s GROUP BY k HAVING count(*) > 2',
  },
  tumbling: {
    sql: `SELECT k, window_end, count(*) AS c, sum(n) AS t FROM TUMBLE(s, at, INTERVAL '200 milliseconds')
      GROUP BY k, window_start, window_end EMIT ON WINDOW CLOSE`,
    where: `k <> 'end'`,
  },
  hopping: {
    sql: `SELECT k, window_start, window_end, count(*) AS c FROM HOP(s, at, INTERVAL '100 milliseconds', INTERVAL '300 milliseconds')
      GROUP BY k, window_start, window_end`,
  },
  sessions: {
    sql: `SELECT k, window_start, window_end, count(*) AS c FROM SESSION(s, at, INTERVAL '60 milliseconds', k)
      GROUP BY k, window_start, window_end EMIT ON WINDOW CLOSE`,
    where: `k <> 'end'`,
  },
  joined: { sql: 'SELECT s.id, s.n, t.w FROM s JOIN t ON s.k = t.k', options: grows },
  outer_join: {
    sql: 'SELECT t.k, t.w, c.n FROM t FULL JOIN (SELECT k, count(*) AS n FROM s GROUP BY k) c ON t.k = c.k',
    options: grows,
  },
  near: {
    sql: `SELECT a.id AS a, b.id AS b FROM s a JOIN s b ON a.k = b.k
      AND b.at BETWEEN a.at - INTERVAL '20 milliseconds' AND a.at + INTERVAL '20 milliseconds'`,
    where: 'a < 1000000',
  },
  best: {
    sql: `SELECT k, n, id, r FROM (SELECT k, n, id, row_number() OVER (PARTITION BY k ORDER BY n DESC, id, _partition, _offset) AS r FROM s) x
      WHERE r <= 3`,
  },
  running: {
    sql: 'SELECT id, k, sum(n) OVER (PARTITION BY k ORDER BY at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS t FROM s',
    where: `k <> 'end'`,
  },
  existing: { sql: 'SELECT id FROM s WHERE k IN (SELECT k FROM t WHERE w > 3)', options: grows },
  of_views: { sql: 'SELECT count(*) AS c, sum(n) AS t FROM odd' },
  events: { sql: 'SELECT k, count(*) AS c, sum(n) AS t FROM s GROUP BY k', options: asEvents },
  event_rows: { sql: 'SELECT t.k, t.w FROM t WHERE w > 2', options: asEvents },
  event_pairs: {
    sql: 'SELECT t.w, c.n FROM t JOIN (SELECT k, count(*) AS n FROM s GROUP BY k) c ON t.k = c.k',
    options: `${grows}, ${asEvents}`,
  },
}
const names = ['a', 'b', 'c', 'd']
const farMs = 600_000

export async function runFlow(seed: number, { failures = false }: FlowRunOptions = {}): Promise<FlowRun> {
  const machine = simulate(seed, { syncMsMax: 3 })
  return new Workload(machine, seed).run(failures)
}

interface Event {
  readonly topic: 's' | 't'
  readonly partition: number
  readonly key: string | null
  readonly value: object | null
}

class Workload {
  readonly #machine: Simulation
  readonly #random: SeededRandom
  readonly #parts: SeededRandom
  readonly #looks: SeededRandom
  readonly #partitions: number
  readonly #views: readonly string[]
  #twice = 0
  #restarts = 0
  #rows = 0

  constructor(machine: Simulation, seed: number) {
    const random = new SeededRandom(seed, 'flow')
    this.#machine = machine
    this.#random = random
    this.#parts = new SeededRandom(seed, 'parts')
    this.#looks = new SeededRandom(seed, 'looks')
    this.#partitions = random.between(1, 3)
    const chosen = Object.keys(views).filter((name) => name === 'odd' || random.chance(0.15))
    this.#views = chosen
  }
  async run(failures: boolean): Promise<FlowRun> {
    const machine = this.#machine
    const random = this.#random
    const events = this.#events(random.between(30, 100))
    let sent = 0
    let running = await machine.run(() => this.#open(true))
    const lives = random.between(1, 3)
    for (let life = 0; life < lives; life++) {
      if (failures) machine.disk.plan = failing(random)
      const state = { at: sent }
      const work = this.#send(running, events, state)
      work.catch(() => undefined)
      if (this.#looks.chance(0.3)) this.#leaveOpen(running).catch(() => undefined)
      await machine.advance(random.between(0, 150))
      machine.disk.plan = null
      sent = state.at
      if (random.chance(0.5)) machine.kill()
      else machine.powerCut()
      // Now and then it dies again while it reads its state.
      if (random.chance(0.3)) {
        this.#open(false).catch(() => undefined)
        await machine.advance(random.between(0, 30))
        machine.kill()
      }
      running = await machine.run(() => this.#open(false))
      if (this.#parts.chance(0.5)) await machine.run(() => this.#make(running, this.#parts.pick(this.#views), true))
      if (this.#looks.chance(0.3)) await machine.run(() => this.#look(running))
    }
    if (failures) {
      machine.disk.plan = ({ operation }) =>
        operation.startsWith('read') && this.#parts.chance(0.3) ? { code: 'EIO' } : null
      const state = { at: sent }
      const work = this.#send(running, events, state)
      work.catch(() => undefined)
      await machine.advance(this.#parts.between(0, 3_000))
      machine.disk.plan = null
      await machine.run(() => work.catch(() => undefined))
      sent = state.at
      await this.#recovered(running)
    }
    await machine.run(async () => {
      await this.#send(running, events, { at: sent })
      await this.#closeWindows(running)
      await ask(running, 'FLUSH')
      for (const name of this.#views) await this.#check(running, name)
      await running.close()
    })
    return {
      lives,
      events: events.length,
      twice: this.#twice,
      views: this.#views,
      rows: this.#rows,
      restarts: this.#restarts,
      trace: machine.trace(),
    }
  }

  /** Nobody resumes anything: whatever has failed comes back by itself. */
  async #recovered({ engine }: Running): Promise<void> {
    const waiting = (): boolean => this.#views.some((name) => engine.relation(name)!.status !== 'running')
    for (let ms = 0; waiting(); ms += 1_000) {
      assert.ok(
        ms < 600_000,
        `${this.#views.map((name) => JSON.stringify(engine.relation(name))).join()} do not come back`,
      )
      await this.#machine.advance(1_000)
    }
    for (const name of this.#views) this.#restarts += engine.relation(name)!.restarts?.attempts ?? 0
  }

  #events(count: number): Event[] {
    const random = this.#random
    const startMs = this.#machine.clock.now()
    return Array.from({ length: count }, (_, id): Event => {
      if (random.chance(0.15)) {
        const k = random.pick(names)
        const value = random.chance(0.2) ? null : { k, w: random.between(0, 9) }
        return { topic: 't', partition: 0, key: k, value }
      }
      // Times are different, so that an order by them is one order; up to half a second out of order.
      const at = new Date(startMs + id * 5 - random.between(0, 90) * 5).toISOString()
      const value = {
        id,
        k: random.pick(names),
        n: random.between(0, 12),
        at: at.replace('Z', `${id % 1000}`.padStart(3, '0') + 'Z'),
      }
      return { topic: 's', partition: random.between(0, this.#partitions - 1), key: null, value }
    })
  }
  async #open(first: boolean): Promise<Running> {
    const { config } = resolveConfig(
      { data: '/data', listen: protocols.map((protocol) => `${protocol}=off`) },
      environmentSettings({}),
      {},
    )
    const running = await startMillrace({
      config,
      world: this.#machine,
      logger: silent,
      definitions: { sql: [], definitions: [] },
    })
    if (!first) return running
    const late = `at - INTERVAL '1 second'`
    const watermark = this.#parts.chance(0.3) ? `CASE WHEN n >= 0 THEN ${late} END` : late
    const aligned = this.#parts.chance(0.3)
      ? `, watermark_alignment_group = 'g', watermark_alignment_max_drift = '100ms'`
      : ''
    await ask(
      running,
      `CREATE STREAM s (id int, k text, n int, at timestamptz, WATERMARK FOR at AS ${watermark})
        WITH (topic = 's', partitions = ${this.#partitions}${aligned});
      CREATE TABLE t (k text PRIMARY KEY, w int) WITH (topic = 't')`,
    )
    for (const name of this.#views) await this.#make(running, name, false)
    return running
  }
  async #make(running: Running, name: string, again: boolean): Promise<void> {
    const { sql, options } = views[name]!
    const all = [`parallelism = ${this.#parts.between(1, 3)}`, ...(options === undefined ? [] : [options])]
    await ask(
      running,
      `CREATE ${again ? 'OR REPLACE ' : ''}MATERIALIZED VIEW ${name} WITH (${all.join(', ')}) AS ${sql}`,
    )
  }
  /** What was not answered is sent again after a crash. */
  async #send({ log }: Running, events: readonly Event[], state: { at: number }): Promise<void> {
    const random = this.#random
    const { clock } = this.#machine
    while (state.at < events.length) {
      const piece = events.slice(state.at, state.at + random.between(1, 20))
      for (const [place, some] of Map.groupBy(piece, ({ topic, partition }) => `${topic}/${partition}`)) {
        const [topic, index] = place.split('/') as [string, string]
        const records = some.map(({ key, value }) => ({
          key: key === null ? null : Buffer.from(key),
          value: value === null ? null : Buffer.from(JSON.stringify(value)),
          timeMs: clock.now(),
        }))
        const [answer] = await log
          .writer()
          .append([{ partition: { topic, index: Number(index) }, batch: encodeBatch(records) }])
        if (answer !== undefined && 'fault' in answer) {
          this.#twice++
          await clock.sleep(50)
        }
      }
      state.at += piece.length
      await clock.sleep(random.between(0, 30))
    }
  }
  /** Events far ahead, one for each partition. */
  async #closeWindows({ log }: Running): Promise<void> {
    const timeMs = this.#machine.clock.now()
    for (let index = 0; index < this.#partitions; index++) {
      const value = { id: 1_000_000 + index, k: 'end', n: 0, at: new Date(timeMs + farMs + index).toISOString() }
      const batch = encodeBatch([{ key: null, value: Buffer.from(JSON.stringify(value)), timeMs }])
      await log.writer().append([{ partition: { topic: 's', index }, batch }])
    }
  }
  /** A tick over a view's topic that dies with the process: what the view commits behind it is not shown before. */
  async #leaveOpen({ log }: Running): Promise<void> {
    const partition = { topic: this.#looks.pick(this.#views), index: 0 }
    const never = { key: Buffer.from('never'), value: Buffer.from('never'), timeMs: this.#machine.clock.now() }
    await (await log.owner()).begin().append([{ partition, batch: encodeBatch([never]) }])
  }
  /** After a start, of views that do not wait for windows to close. */
  async #look(running: Running): Promise<void> {
    await ask(running, 'FLUSH')
    for (const name of this.#views) if (views[name]!.where === undefined) await this.#compare(running, name)
  }
  /** The rows that the same query answers. */
  async #compare(running: Running, name: string): Promise<readonly string[]> {
    const { sql, where } = views[name]!
    const only = where === undefined ? '' : ` WHERE ${where}`
    const expected = await ask(running, `SELECT * FROM (${sql.replace('EMIT ON WINDOW CLOSE', '')}) x${only}`)
    const held = await ask(running, `SELECT * FROM ${name}${only}`)
    assert.deepEqual(sorted(held), sorted(expected), `${name}: rows of the view`)
    this.#rows += held.length
    return expected
  }
  async #check(running: Running, name: string): Promise<void> {
    const { where } = views[name]!
    const expected = await this.#compare(running, name)
    const records = await readAll(running, name)
    const summed = added(await formOf(running, name), records)
    // What only moves the watermark on is in the topic too.
    const wanted = where === undefined ? expected : await ask(running, `SELECT * FROM ${name}`)
    assert.deepEqual(summed, sorted(wanted), `${name}: changes of the topic`)
  }
}

async function formOf(running: Running, name: string): Promise<Form> {
  if (views[name]!.options?.includes(asEvents) === true) return 'events'
  const [line] = await ask(running, `EXPLAIN ${running.engine.relation(name)!.sql!}`)
  if (line!.includes('only ever added')) return 'added'
  return running.engine.relation(name)!.key === null ? 'weighted' : 'keyed'
}
async function ask({ engine }: Running, sql: string): Promise<string[]> {
  const { columns, rows } = await engine.run(sql)
  const out: string[] = []
  for await (const row of rows) out.push(shown(Object.fromEntries(columns.map(({ name }, i) => [name, row[i]]))))
  return out
}
const shown = (row: object): string =>
  JSON.stringify(row, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value))
const sorted = (rows: readonly string[]): string[] => rows.toSorted()

/** Rows that the changes of a topic add up to. */
function added(form: Form, records: readonly LogRecord[]): string[] {
  const texts = records.map(({ value }) =>
    value === null ? null : shown(JSON.parse(Buffer.from(value).toString()) as object),
  )
  if (form === 'added') return sorted(texts.filter((text) => text !== null))
  if (form === 'events') return addedEvents(records)
  const held = new Map<string, string | number>()
  records.forEach(({ key, headers }, i) => {
    const text = texts[i]!
    if (form === 'keyed') {
      const id = Buffer.from(key!).toString()
      if (text === null) held.delete(id)
      else held.set(id, text)
    } else {
      const weight = Number(Buffer.from(headers.find(([name]) => name === 'mr-weight')![1]!).toString())
      const sum = ((held.get(text) as number | undefined) ?? 0) + weight
      if (sum === 0) held.delete(text)
      else held.set(text, sum)
    }
  })
  if (form === 'keyed') return sorted([...held.values()] as string[])
  return sorted([...held].flatMap(([text, weight]) => Array.from({ length: weight as number }, () => text)))
}
/** What goes must have been there. */
function addedEvents(records: readonly LogRecord[]): string[] {
  const held = new Map<string, number>()
  for (const { value } of records) {
    if (value === null) continue
    const { before, after } = JSON.parse(Buffer.from(value).toString()) as Record<'before' | 'after', object | null>
    for (const [row, weight] of [
      [before, -1],
      [after, 1],
    ] as const) {
      if (row === null) continue
      const sum = (held.get(shown(row)) ?? 0) + weight
      assert.ok(sum >= 0, `${shown(row)} goes and was not there`)
      held.set(shown(row), sum)
    }
  }
  return sorted([...held].flatMap(([text, weight]) => Array.from({ length: weight }, () => text)))
}
async function readAll({ log }: Running, topic: string): Promise<LogRecord[]> {
  const [bounds] = await log.bounds([{ topic, index: 0 }])
  const records: LogRecord[] = []
  for (let at: number = bounds!.start; at < bounds!.stable;) {
    const [chunk] = await log.reader().read([{ partition: { topic, index: 0 }, offset: offset(at) }], { ms: 1000 })
    if (chunk === undefined || 'fault' in chunk) throw chunk?.fault ?? new Error('no chunk')
    for (const batch of chunk.batches) records.push(...decodeBatch(batch).filter((record) => record.offset >= at))
    at = chunk.next
  }
  return records
}
