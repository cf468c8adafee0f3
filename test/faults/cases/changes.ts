/**
 * kill -9 while a view's query is changed again and again (START FROM RESUME), savepoints of it are made and it goes back to
 * them, and events come in. All its queries have one aggregate in common, which must never be lost or counted twice: after
 * each start the view's rows are those of its query, asked once over all events; every savepoint that was answered is listed,
 * and the view can go back to one and come to the same rows again.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Millrace } from '../../interop/setup/index.ts'
import { between, type Context, type FaultCase, type Outcome, startAgain, startFirst } from '../case.ts'

export const changes: FaultCase = {
  name: 'changes',
  says: 'kill -9 while the query of a view is changed, savepoints are made and gone back to',
  run: killChanges,
}

const killsOf = ({ times }: Context): number => times(8, 200)
const groups = 'SELECT k, sum(n) AS x, count(*) AS c FROM base GROUP BY k'
const queries: readonly string[] = [
  groups,
  'SELECT k, sum(n) * 2 AS x, count(*) AS c FROM base GROUP BY k HAVING sum(n) % 2 = 0',
  `SELECT count(*) AS k, sum(x) AS x, sum(c) AS c FROM (${groups}) g`,
  `SELECT k, x, c FROM (${groups}) g ORDER BY x DESC, k LIMIT 5`,
]
interface Answer {
  readonly status: number
  readonly text: string
}

class Load {
  product: Millrace
  readonly problems: string[] = []
  readonly counts = { changed: 0, savepoints: 0, back: 0, unanswered: 0, records: 0 }
  readonly #random: () => number
  /** Answered. */
  readonly #savepoints: string[] = []
  #number = 0

  constructor(product: Millrace, random: () => number) {
    this.product = product
    this.#random = random
  }
  #pick<T>(list: readonly T[]): T {
    return list[Math.floor(this.#random() * list.length)]!
  }
  /** null: no answer came. */
  async #ask(method: string, path: string, type: string, body: string | null): Promise<Answer | null> {
    try {
      const response = await fetch(`http://${this.product.http}${path}`, {
        method,
        headers: { 'content-type': type, connection: 'close' },
        ...(body === null ? {} : { body }),
      })
      return { status: response.status, text: await response.text() }
    } catch {
      return null
    }
  }
  sql(text: string): Promise<Answer | null> {
    return this.#ask('POST', '/v1/sql', 'application/sql', text)
  }
  async must(text: string): Promise<unknown[][]> {
    const answer = await this.sql(text)
    if (answer?.status !== 200) throw new Error(`${text}: ${answer === null ? 'no answer' : answer.text}`)
    return (JSON.parse(answer.text) as { rows: unknown[][] }).rows
  }
  async changeSome(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const way = this.#random()
      const query = this.#pick(queries)
      const name = `s${this.#number++}`
      const isMade = way < 0.3
      const back = way > 0.7 && this.#savepoints.length > 0 ? this.#pick(this.#savepoints) : null
      const start = back === null ? 'RESUME' : `SAVEPOINT ${back}`
      const text = isMade
        ? `CREATE SAVEPOINT ${name} FOR v`
        : `ALTER MATERIALIZED VIEW v AS ${query} START FROM ${start}`
      const answer = await this.sql(text)
      if (answer === null || (answer.status !== 200 && signal.aborted)) {
        this.counts.unanswered++
        return
      }
      if (answer.status !== 200) {
        this.problems.push(`${text}: ${answer.text}`)
        return
      }
      if (isMade) this.#savepoints.push(name)
      if (isMade) this.counts.savepoints++
      else if (back === null) this.counts.changed++
      else this.counts.back++
    }
  }
  async produceSome(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const batch = Array.from({ length: 50 }, () => ({
        k: `k${Math.floor(this.#random() * 20)}`,
        n: Math.floor(this.#random() * 10),
      }))
      const body = JSON.stringify(batch)
      const answer = await this.#ask('POST', '/v1/topics/base/records', 'application/json', body)
      if (answer?.status !== 200) return
      this.counts.records += batch.length
      await sleep(2)
    }
  }

  async check(): Promise<void> {
    await this.#compare('after the start')
    // What lies in the folder tells why.
    if (this.problems.length > 0) return
    const listed = (await this.must('SHOW SAVEPOINTS')).map(([name]) => String(name))
    for (const name of this.#savepoints)
      if (!listed.includes(name)) this.problems.push(`savepoint ${name} was made and is gone`)
    if (listed.length === 0) return
    const name = this.#pick(listed)
    await this.must(`ALTER MATERIALIZED VIEW v START FROM SAVEPOINT ${name}`)
    await this.#compare(`after going back to ${name}`)
  }
  async #compare(when: string): Promise<void> {
    await this.must('FLUSH')
    const answer = await this.#ask('GET', '/v1/views/v', 'application/json', null)
    const info = JSON.parse(answer?.text ?? '{}') as { sql?: string; status?: string; error?: unknown }
    if (info.status !== 'running') this.problems.push(`${when} v is ${info.status}: ${JSON.stringify(info.error)}`)
    const query = /AS (SELECT [^]*?)(?: START FROM [^]*)?$/.exec(info.sql ?? '')?.[1] ?? ''
    const [held, asked] = await Promise.all([this.must('SELECT * FROM v'), this.must(query)])
    const text = (rows: unknown[][]): string => JSON.stringify(rows.map((row) => JSON.stringify(row)).toSorted())
    if (text(held) !== text(asked)) this.problems.push(`${when} v holds ${text(held)}, its query gives ${text(asked)}`)
  }
}

async function killChanges(context: Context): Promise<Outcome> {
  const { random, note, folder } = context
  const kills = killsOf(context)
  const load = new Load(await startFirst({ data: folder }), random)
  const { problems } = load
  try {
    await load.must(`CREATE STREAM base (k text, n int) WITH (topic = 'base', partitions = 2)`)
    await load.must(`CREATE MATERIALIZED VIEW v AS ${groups}`)
    for (let killed = 1; killed <= kills && problems.length === 0; killed++) {
      const over = new AbortController()
      const running = [load.changeSome(over.signal), load.produceSome(over.signal)]
      await sleep(between(random, 30, 1_200))
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
  const { changed, savepoints, back, unanswered, records } = load.counts
  return { problems, figures: { kills, changed, savepoints, back, unanswered, records } }
}
