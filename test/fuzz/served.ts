/** The dataset in a whole engine: views write topics, others read them, and statements answer as they do to anybody. */
import type { Columns, DataType } from '../../src/schema/types.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import { parseInstant } from '../../src/flow/time-text.ts'
import { type House, openHouse } from '../query/house.ts'
import type { Rows } from './compare.ts'
import { changesOf, type Dataset, definitions, recordOf } from './tables.ts'
import { theirText } from './values.ts'

export class Served implements AsyncDisposable {
  private readonly house: House
  private constructor(house: House) {
    this.house = house
  }
  static async open(dataset: Dataset): Promise<Served> {
    const house = await openHouse()
    await house.sql(definitions(dataset))
    for (const { relation, partition, changes } of changesOf(dataset)) {
      const bytes = (text: string | null): Buffer | null => (text === null ? null : Buffer.from(text))
      const records = changes.map((c) => ({ key: bytes(c.key), value: bytes(recordOf(c)), timeMs: c.timeMs }))
      const entry = { partition: { topic: relation.name, index: partition }, batch: encodeBatch(records) }
      const [answer] = await house.log.writer().append([entry])
      if (answer !== undefined && 'fault' in answer) throw answer.fault
    }
    return new Served(house)
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.house[Symbol.asyncDispose]()
  }
  /** Rows of the query, and of a view of it. */
  async ask(query: string): Promise<{ readonly asked: Rows; readonly kept: Rows }> {
    const asked = await this.rows(query)
    await this.house.sql(`CREATE MATERIALIZED VIEW v WITH (allow_unbounded_state = true) AS ${query}`)
    try {
      await this.house.sql('FLUSH')
      return { asked, kept: await this.rows('SELECT * FROM v') }
    } finally {
      await this.house.sql('DROP MATERIALIZED VIEW v')
    }
  }
  /** One that reads the topic of another. */
  async askThrough(inner: string): Promise<Rows> {
    await this.house.sql(`CREATE MATERIALIZED VIEW v WITH (allow_unbounded_state = true) AS ${inner}`)
    await this.house.sql(
      'CREATE MATERIALIZED VIEW v2 WITH (allow_unbounded_state = true) AS SELECT * FROM v UNION ALL SELECT * FROM v',
    )
    try {
      await this.house.sql('FLUSH')
      return await this.rows('SELECT * FROM v2')
    } finally {
      await this.house.sql('DROP MATERIALIZED VIEW v2, v')
    }
  }
  private async rows(text: string): Promise<Rows> {
    const { columns, rows } = await this.house.engine.run(text)
    const out: string[][] = []
    for await (const row of rows) out.push(textsOf(row, columns))
    return out
  }
}
const textsOf = (row: readonly unknown[], columns: Columns): string[] =>
  row.map((value, i) => jsonText(value, columns[i]!.type))

/** Of the form that statements answer in. */
function jsonText(value: unknown, type: DataType): string {
  if (value === null) return 'NULL'
  switch (type.kind) {
    case 'timestamp':
    case 'timestamptz':
      return String(parseInstant(String(value)))
    case 'real':
      // Answers have the shortest digits that name it.
      return theirText(Math.fround(Number(value)), type)
    case 'bytea':
      return String(value).slice(2)
    case 'json':
    case 'jsonb':
    case 'composite':
      return theirText(JSON.stringify(value), type)
    default:
      return theirText(value, type)
  }
}
