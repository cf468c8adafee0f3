/** JSON: reaching into it, asking about it, making it. Both json and jsonb are their text in memory. */
import { jsonElements, jsonMember, jsonMembers } from '../../schema/json-text.ts'
import type { DataType } from '../../schema/types.ts'
import { canonicalJsonb } from '../json-text.ts'
import { type Decimal, decimalText } from '../decimal.ts'
import { clockText, dateText, isoText } from '../time-text.ts'
import { byteaText, realText } from './casts.ts'
import type { Interval } from '../memory.ts'
import { invalidArgument } from './helpers.ts'
import { row, type } from './rows.ts'
import type { CallSite, FunctionRow, Kind } from './table.ts'
import { intervalText } from './time-parts.ts'

const bytesOf = (text: string): Buffer => Buffer.from(text.trim())
const textOf = (bytes: Uint8Array | null): string | null =>
  bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
/** The first character says what it is. */
const kindOf = (json: string): string => {
  const c = json.trimStart()[0]
  if (c === '{') return 'object'
  if (c === '[') return 'array'
  if (c === '"') return 'string'
  return c === 't' || c === 'f' ? 'boolean' : c === 'n' ? 'null' : 'number'
}
function member(json: string, name: string): string | null {
  return kindOf(json) === 'object' ? textOf(jsonMember(bytesOf(json), name)) : null
}
/** From 0; from the end where it is negative. */
function element(json: string, index: number): string | null {
  if (kindOf(json) !== 'array') return null
  const elements = jsonElements(bytesOf(json))
  return textOf(elements[index < 0 ? elements.length + index : index] ?? null)
}
/** As a text: a string without its quotes, null as NULL. */
function plain(json: string | null): string | null {
  if (json === null) return null
  const kind = kindOf(json)
  if (kind === 'null') return null
  return kind === 'string' ? (JSON.parse(json) as string) : json
}
/** `{a,0,b}` */
function pathOf(text: string): string[] {
  const body = /^\s*\{([^]*)\}\s*$/.exec(text)?.[1]
  if (body === undefined) return invalidArgument(`malformed array literal: "${text.slice(0, 80)}"`)
  if (body.trim() === '') return []
  return body.split(',').map((part) => part.trim().replace(/^"([^]*)"$/, '$1'))
}
function along(json: string, path: readonly (string | null)[]): string | null {
  let here: string | null = json
  for (const step of path) {
    if (here === null || step === null) return null
    here = kindOf(here) === 'array' ? (/^-?\d+$/.test(step) ? element(here, Number(step)) : null) : member(here, step)
  }
  return here
}

const kinds = ['json', 'jsonb'] as const satisfies readonly Kind[]
const reaching: FunctionRow[] = kinds.flatMap((kind) => {
  const same = type[kind]
  const nullable = { mayBeNull: true }
  return [
    row('->', [kind, 'text'], same, member, 'The field of an object', nullable),
    row('->', [kind, 'int'], same, element, 'The element of an array, from 0', nullable),
    row(
      '->>',
      [kind, 'text'],
      type.text,
      (json: string, name: string) => plain(member(json, name)),
      'The field of an object as text',
      nullable,
    ),
    row(
      '->>',
      [kind, 'int'],
      type.text,
      (json: string, index: number) => plain(element(json, index)),
      'The element of an array as text',
      nullable,
    ),
    row(
      '#>',
      [kind, 'text'],
      same,
      (json: string, path: string) => along(json, pathOf(path)),
      "What lies at a path like '{a,0}'",
      nullable,
    ),
    row(
      '#>>',
      [kind, 'text'],
      type.text,
      (json: string, path: string) => plain(along(json, pathOf(path))),
      "What lies at a path like '{a,0}', as text",
      nullable,
    ),
    row(
      `${kind}_extract_path`,
      [kind, 'text'],
      same,
      (json: string, ...path: string[]) => along(json, path),
      'What lies at a path',
      { ...nullable, variadic: true },
    ),
    row(
      `${kind}_extract_path_text`,
      [kind, 'text'],
      type.text,
      (json: string, ...path: string[]) => plain(along(json, path)),
      'What lies at a path, as text',
      { ...nullable, variadic: true },
    ),
    row(`${kind}_typeof`, [kind], type.text, kindOf, 'object, array, string, number, boolean or null'),
    row(`${kind}_array_length`, [kind], type.int, arrayLength, 'How many elements an array has'),
    row(`to_${kind}`, ['any'], same, () => null, 'A value as JSON', {
      code: (c) => toJsonCode(kind, c.types[0]!, c.args[0]!, (constant) => c.use(constant)),
    }),
  ]
})
/** An object or an array of values, NULL as null. */
const building: FunctionRow[] = kinds.flatMap((kind) => {
  const built = (name: string, about: string, code: FunctionRow['code']): FunctionRow => ({
    name: `${kind}_build_${name}`,
    args: ['any'],
    variadic: true,
    returns: type[kind],
    nulls: 'called',
    code: (c) => (kind === 'json' ? code(c) : `${c.use(canonicalJsonb)}(${code(c)})`),
    duckdb: null,
    why: 'its numbers and times are ours',
    about,
  })
  const item = (c: CallSite, i: number): string =>
    `(${c.args[i]} === null ? 'null' : ${toJsonCode('json', c.types[i]!, c.args[i]!, (constant) => c.use(constant))})`
  return [
    built(
      'array',
      'These values as a JSON array',
      (c) => `'[' + [${c.args.map((_, i) => item(c, i)).join(', ')}].join(', ') + ']'`,
    ),
    built('object', 'A name, its value, the next name … as a JSON object', (c) => {
      const pairs = c.args.flatMap((name, i) =>
        i % 2 === 1
          ? []
          : [`${c.use(jsonName)}(${name}) + ': ' + ${i + 1 < c.args.length ? item(c, i + 1) : `${c.use(noValue)}()`}`],
      )
      return `'{' + [${pairs.join(', ')}].join(', ') + '}'`
    }),
  ]
})
const jsonName = (name: unknown): string =>
  name === null ? invalidArgument('a name of a JSON object is NULL') : JSON.stringify(String(name))
const noValue = (): never => invalidArgument('names and values of a JSON object come in pairs')
function toJsonCode(
  kind: 'json' | 'jsonb',
  from: DataType,
  argument: string,
  use: (constant: unknown) => string,
): string {
  const write = writerOf(from)
  return kind === 'json'
    ? `${use(write)}(${argument})`
    : `${use((value: never) => canonicalJsonb(write(value)))}(${argument})`
}
/** The same texts as in a topic. */
function writerOf(from: DataType): (value: never) => string {
  switch (from.kind) {
    case 'boolean':
    case 'smallint':
    case 'int':
    case 'bigint':
      return String
    case 'numeric': {
      const { scale } = from
      return (v: number | bigint | Decimal) =>
        typeof v === 'object' ? decimalText(v.digits, v.scale) : decimalText(v, scale ?? 0)
    }
    case 'real':
      return (v: number) => (Number.isFinite(v) ? realText(v) : JSON.stringify(String(v)))
    case 'double':
      return (v: number) => (Number.isFinite(v) ? String(v) : JSON.stringify(String(v)))
    case 'json':
    case 'jsonb':
      return (v: string) => v
    case 'bytea':
      return (v: Uint8Array) => JSON.stringify(byteaText(v))
    case 'date':
      return (v: number) => JSON.stringify(dateText(v))
    case 'time':
      return (v: number) => JSON.stringify(clockText(v))
    case 'timestamp':
    case 'timestamptz':
      return (v: number) => JSON.stringify(isoText(v))
    case 'interval':
      return (v: Interval) => JSON.stringify(intervalText(v))
    case 'text':
    case 'varchar':
    case 'uuid':
      return (v: string) => JSON.stringify(v)
    case 'array': {
      const item = writerOf(from.of)
      return (v: readonly (never | null)[]) => `[${v.map((one) => (one === null ? 'null' : item(one))).join(',')}]`
    }
    case 'composite':
      return () => invalidArgument('a composite value cannot be made JSON yet')
  }
}
function arrayLength(json: string): number {
  return kindOf(json) === 'array'
    ? jsonElements(bytesOf(json)).length
    : invalidArgument('cannot get array length of a non-array')
}

const hasKey = (json: string, key: string): boolean => {
  const kind = kindOf(json)
  if (kind === 'object') return jsonMember(bytesOf(json), key) !== null
  if (kind === 'array')
    return jsonElements(bytesOf(json)).some((item) => plain(textOf(item)) === key && kindOf(textOf(item)!) === 'string')
  return kind === 'string' && plain(json) === key
}
/** Everything of b is in a. Texts of jsonb are canonical: equal scalars have equal texts. */
function contains(a: string, b: string, top = true): boolean {
  const kind = kindOf(b)
  if (kind === 'object') {
    if (kindOf(a) !== 'object') return false
    return jsonMembers(bytesOf(b)).every(({ name, value }) => {
      const own = jsonMember(bytesOf(a), name)
      return own !== null && contains(textOf(own)!, textOf(value)!, false)
    })
  }
  if (kind === 'array') {
    if (kindOf(a) !== 'array') return false
    const own = jsonElements(bytesOf(a)).map((item) => textOf(item)!)
    return jsonElements(bytesOf(b)).every((item) => own.some((one) => contains(one, textOf(item)!, false)))
  }
  // An array contains a plain value that is one of its elements, at the top only.
  if (top && kindOf(a) === 'array') return jsonElements(bytesOf(a)).some((item) => sameScalar(textOf(item)!, b))
  return sameScalar(a, b)
}
const sameScalar = (a: string, b: string): boolean =>
  a === b || (kindOf(a) === 'number' && kindOf(b) === 'number' && Number(a) === Number(b))

const asking: FunctionRow[] = [
  row(
    '@>',
    ['jsonb', 'jsonb'],
    type.boolean,
    (a: string, b: string) => contains(a, b),
    'Holds everything that the other holds',
  ),
  row('<@', ['jsonb', 'jsonb'], type.boolean, (a: string, b: string) => contains(b, a), 'Is held by the other'),
  row('?', ['jsonb', 'text'], type.boolean, hasKey, 'Has the key, or the text as element'),
  row(
    '?|',
    ['jsonb', 'text'],
    type.boolean,
    (json: string, keys: string) => pathOf(keys).some((key) => hasKey(json, key)),
    "Has one of the keys '{a,b}'",
  ),
  row(
    '?&',
    ['jsonb', 'text'],
    type.boolean,
    (json: string, keys: string) => pathOf(keys).every((key) => hasKey(json, key)),
    "Has all of the keys '{a,b}'",
  ),
  row('||', ['jsonb', 'jsonb'], type.jsonb, concatenate, 'Objects merged, the right one wins; arrays joined'),
  row('-', ['jsonb', 'text'], type.jsonb, without, 'Without the key, or the elements of that text'),
]
const elementsOf = (json: string): string[] =>
  kindOf(json) === 'array' ? jsonElements(bytesOf(json)).map((item) => textOf(item)!) : [json]
function concatenate(a: string, b: string): string {
  if (kindOf(a) === 'object' && kindOf(b) === 'object') {
    const fields = new Map(
      [...jsonMembers(bytesOf(a)), ...jsonMembers(bytesOf(b))].map(({ name, value }) => [name, textOf(value)!]),
    )
    return objectText(fields)
  }
  return canonicalJsonb(`[${[...elementsOf(a), ...elementsOf(b)].join(',')}]`)
}
function without(json: string, key: string): string {
  const kind = kindOf(json)
  if (kind === 'object')
    return objectText(
      new Map(
        jsonMembers(bytesOf(json))
          .filter(({ name }) => name !== key)
          .map(({ name, value }) => [name, textOf(value)!]),
      ),
    )
  if (kind === 'array')
    return canonicalJsonb(
      `[${elementsOf(json)
        .filter((item) => item !== JSON.stringify(key))
        .join(',')}]`,
    )
  return invalidArgument('cannot delete from scalar')
}
const objectText = (fields: ReadonlyMap<string, string>): string =>
  canonicalJsonb(`{${[...fields].map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(',')}}`)

export const jsons: readonly FunctionRow[] = [...reaching, ...asking, ...building]
