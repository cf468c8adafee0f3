/** How values of a stream or table are written: the options of WITH that say so, and the columns that a schema gives. */
import type { SchemaUse, SourcePlan } from '../../flow/plan.ts'
import { Fault } from '../../lib/fault.ts'
import { avroColumns, parseAvro } from '../../schema/formats/avro.ts'
import { messageNamed, parseProtobuf, protobufColumns } from '../../schema/formats/protobuf.ts'
import type { Columns } from '../../schema/types.ts'
import { SqlFault } from '../fault.ts'
import type { PlanContext } from './context.ts'
import type { Options, OptionSpecs } from './options.ts'

export const formatOptions: OptionSpecs = {
  format: {
    kind: 'choice',
    choices: ['json', 'avro', 'protobuf', 'debezium-json', 'debezium-avro-confluent'],
    about: 'how values are written; default json',
  },
  schema: { kind: 'text', about: 'of avro and protobuf: the schema to read by, the text of the .avsc or .proto' },
  framing: {
    kind: 'choice',
    choices: ['none', 'confluent'],
    about: 'confluent: a byte 0 and a schema id stand before each value; default where no schema is given',
  },
  message: { kind: 'text', about: 'of protobuf: the message that values are, where the file has several' },
  imports: { kind: 'text', about: 'of protobuf: files that the schema imports, a JSON object of their texts by name' },
}
export interface ValueFormat {
  readonly format: SourcePlan['format']
  /** Values are change events. */
  readonly envelope: NonNullable<SourcePlan['envelope']> | null
  readonly schema: SchemaUse | null
  /** Those that the schema gives; [] where there is none. Throws SqlFault. */
  columns(): Columns
}

/** Throws SqlFault where the options do not fit each other, or the schema is none. */
export function valueFormat(ctx: PlanContext, options: Options): ValueFormat {
  const said = options.textOf('format')?.toLowerCase() ?? 'json'
  const envelope = said.startsWith('debezium-') ? 'debezium' : null
  const format = (said === 'debezium-json' ? 'json' : envelope !== null ? 'avro' : said) as 'json' | 'avro' | 'protobuf'
  const wrong = (name: string, why: string, hint?: string): never => {
    const more = hint === undefined ? {} : { hint }
    throw new SqlFault('sql.invalid-value', `option ${name} ${why}`, ctx.text, options.at(name), more)
  }
  const only =
    format === 'json' ? ['schema', 'framing', 'message', 'imports'] : format === 'avro' ? ['message', 'imports'] : []
  for (const name of only) if (options.has(name)) wrong(name, `has no meaning with format = '${said}'`)
  if (format === 'json') return { format, envelope, schema: null, columns: () => [] }

  const text = options.textOf('schema')
  const framing = (options.textOf('framing')?.toLowerCase() ?? (text === null ? 'confluent' : 'none')) as 'confluent'
  if (text === null && (framing as string) === 'none')
    wrong('framing', "needs the option schema where it is 'none'", 'Nothing else says how the values were written.')
  const imports = importsOf(options.textOf('imports')) ?? wrong('imports', 'must be a JSON object of texts')
  const schema: SchemaUse = { framing, text, message: options.textOf('message'), imports }
  const columns = text === null ? [] : checked(schema, text, format, (why) => wrong('schema', `cannot be used: ${why}`))
  // Those of a change event are before, after and op.
  return { format, envelope, schema, columns: () => (envelope === null ? columns : []) }
}
function checked(use: SchemaUse, text: string, format: 'avro' | 'protobuf', fail: (why: string) => never): Columns {
  try {
    if (format === 'avro') return avroColumns(parseAvro(text))
    const file = parseProtobuf(text, new Map(Object.entries(use.imports)))
    // Which message values are may be left to their framing; then no columns follow from the file.
    if (use.message === null && use.framing === 'confluent' && file.messages.length > 1) return []
    return protobufColumns(messageNamed(file, use.message))
  } catch (error) {
    if (error instanceof Fault && error.code === 'schema.invalid-schema')
      return fail((error.facts as { why: string }).why)
    throw error
  }
}
function importsOf(text: string | null): SchemaUse['imports'] | null {
  if (text === null) return {}
  try {
    const parsed: unknown = JSON.parse(text)
    const isObject = typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
    if (!isObject || Object.values(parsed).some((file) => typeof file !== 'string')) return null
    return Object.fromEntries(Object.entries(parsed)) as SchemaUse['imports']
  } catch {
    return null
  }
}
