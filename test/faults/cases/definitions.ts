/**
 * kill -9 while streams, views and alerts are made and dropped, beside a topic that is compacted. After each start: what
 * was answered is as it was answered, what was not is there or gone as a whole (a view with its topic, and nothing else of
 * its name in the way), nothing is broken, and every name can be made again. A table over the compacted topic has of each
 * key no older record than the last one that was answered, and none that was never sent.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Millrace } from '../../interop/setup/index.ts'
import { between, type Context, type FaultCase, type Outcome, startAgain, startFirst } from '../case.ts'

export const definitions: FaultCase = {
  name: 'definitions',
  says: 'kill -9 while definitions are made and dropped and a topic is compacted',
  run: killDefinitions,
}

const killsOf = ({ times }: Context): number => times(15, 300)
const each = 3
const keys = 40
const paddingBytes = 4_000

interface Kind {
  readonly name: string
  readonly create: (name: string) => string
  readonly drop: (name: string) => string
  readonly show: string
}
const kinds: readonly Kind[] = [
  {
    name: 'stream',
    create: (name) => `CREATE STREAM ${name} (k text) WITH (topic = '${name}', format = 'json')`,
    // Its topic stays when the stream goes.
    drop: (name) => `DROP STREAM ${name}; DROP TOPIC IF EXISTS ${name}`,
    show: 'SHOW STREAMS',
  },
  {
    name: 'view',
    create: (name) => `CREATE MATERIALIZED VIEW ${name} AS SELECT k, count(*) AS n FROM base GROUP BY k`,
    drop: (name) => `DROP MATERIALIZED VIEW ${name}`,
    show: 'SHOW VIEWS',
  },
  {
    name: 'alert',
    create: (name) => `CREATE ALERT ${name} AS SELECT k, n FROM base WHERE n < 0 NOTIFY LOG`,
    drop: (name) => `DROP ALERT ${name}`,
    show: 'SHOW ALERTS',
  },
]
interface Answer {
  readonly status: number
  readonly rows: readonly (readonly unknown[])[]
  readonly text: string
}

class Load {
  product: Millrace
  readonly problems: string[] = []
  readonly counts = { made: 0, dropped: 0, unanswered: 0, records: 0 }
  /** By name: whether it is there; null = a change of it was not answered. */
  readonly there = new Map<string, boolean | null>()
  /** Of each key: the last that was answered, and the last that was sent. */
  readonly answered = new Map<string, number>()
  readonly sent = new Map<string, number>()
  readonly #random: () => number

  constructor(product: Millrace, random: () => number) {
    this.product = product
    this.#random = random
  }
  /** null: no answer came. */
  async ask(path: string, type: string, body: string): Promise<Answer | null> {
    try {
      const response = await fetch(`http://${this.product.http}${path}`, {
        method: 'POST',
        headers: { 'content-type': type, connection: 'close' },
        body,
      })
      const text = await response.text()
      const rows = response.status === 200 ? ((JSON.parse(text) as { rows?: Answer['rows'] }).rows ?? []) : []
      return { status: response.status, text, rows }
    } catch {
      return null
    }
  }
  sql(text: string): Promise<Answer | null> {
    return this.ask('/v1/sql', 'application/sql', text)
  }
  async must(text: string): Promise<Answer> {
    const answer = await this.sql(text)
    if (answer?.status !== 200) throw new Error(`${text}: ${answer === null ? 'no answer' : answer.text}`)
    return answer
  }

  async changeSome(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const kind = kinds[Math.floor(this.#random() * kinds.length)]!
      const name = `${kind.name}_${Math.floor(this.#random() * each)}`
      const known = this.there.get(name)
      if (known === null) continue
      const isDrop = known === true
      this.there.set(name, null)
      const text = isDrop ? kind.drop(name) : kind.create(name)
      const answer = await this.sql(text)
      if (answer === null || (answer.status !== 200 && signal.aborted)) {
        this.counts.unanswered++
        return
      }
      if (answer.status !== 200) {
        this.problems.push(`${text}: ${answer.text}`)
        return
      }
      this.there.set(name, !isDrop)
      if (isDrop) this.counts.dropped++
      else this.counts.made++
    }
  }
  async produceSome(signal: AbortSignal): Promise<void> {
    const padding = 'x'.repeat(paddingBytes)
    while (!signal.aborted) {
      const batch = Array.from({ length: 20 }, () => {
        const k = `k${Math.floor(this.#random() * keys)}`
        const n = (this.sent.get(k) ?? 0) + 1
        this.sent.set(k, n)
        return { k, n, padding }
      })
      const answer = await this.ask('/v1/topics/kept/records', 'application/json', JSON.stringify(batch))
      if (answer?.status !== 200) return
      this.counts.records += batch.length
      for (const { k, n } of batch) this.answered.set(k, Math.max(n, this.answered.get(k) ?? 0))
    }
  }

  async check(): Promise<void> {
    for (const kind of kinds) {
      const { rows } = await this.must(kind.show)
      const shown = new Map(rows.map((row) => [String(row[0]), String(row[1])]))
      for (let i = 0; i < each; i++) {
        const name = `${kind.name}_${i}`
        const wanted = this.there.get(name) ?? null
        if (this.there.has(name) && wanted !== null && wanted !== shown.has(name))
          this.problems.push(`${name} was ${wanted ? 'made and is gone' : 'dropped and is there'}`)
        if (shown.get(name) === 'failed') this.problems.push(`${name} has failed`)
        await this.#makeGood(kind, name, shown.has(name))
      }
    }
    await this.#checkKept()
  }
  /** What was not answered is one or the other, and the other can be had. */
  async #makeGood(kind: Kind, name: string, isThere: boolean): Promise<void> {
    if (!isThere && kind.name === 'stream') await this.must(`DROP TOPIC IF EXISTS ${name}`)
    if (!isThere) await this.#try(kind.create(name), `${name} is not there, and cannot be made`)
    if (kind.name === 'view') await this.#try(`SELECT count(*) FROM ${name}`, `${name} cannot be read`)
    this.there.set(name, true)
  }
  async #try(text: string, what: string): Promise<void> {
    const answer = await this.sql(text)
    if (answer?.status !== 200) this.problems.push(`${what}: ${answer?.text ?? 'no answer'}`)
  }
  async #checkKept(): Promise<void> {
    const { rows } = await this.must('SELECT k, n FROM kept')
    const found = new Map(rows.map(([k, n]) => [String(k), Number(n)]))
    for (const [k, least] of this.answered) {
      const n = found.get(k)
      if (n === undefined || n < least || n > this.sent.get(k)!)
        this.problems.push(`the newest record of ${k} is ${n}, answered were ${least}, sent ${this.sent.get(k)}`)
    }
  }
}

async function killDefinitions(context: Context): Promise<Outcome> {
  const { random, note, folder } = context
  const kills = killsOf(context)
  const load = new Load(await startFirst({ data: folder }), random)
  const { problems } = load
  try {
    await load.must(`CREATE STREAM base (k text, n int) WITH (topic = 'base', format = 'json')`)
    await load.must(
      `CREATE TABLE kept (k text PRIMARY KEY, n int) WITH (topic = 'kept', format = 'json', segment.bytes = '1048576')`,
    )
    await load.ask('/v1/topics/base/records', 'application/json', '[{"k":"a","n":1},{"k":"b","n":2}]')
    for (let killed = 1; killed <= kills && problems.length === 0; killed++) {
      const over = new AbortController()
      const running = [load.changeSome(over.signal), load.produceSome(over.signal)]
      await sleep(between(random, 30, 1_500))
      over.abort()
      await load.product.kill('SIGKILL')
      await Promise.all(running)
      load.product = await startAgain(load.product)
      await load.check()
      note(`kill ${killed} of ${kills}: ready in ${Math.round(load.product.spawnToReadyMs)} ms`)
    }
    await load.product.stop()
  } finally {
    await load.product[Symbol.asyncDispose]()
  }
  const { made, dropped, unanswered, records } = load.counts
  return { problems, figures: { kills, made, dropped, unanswered, records } }
}
