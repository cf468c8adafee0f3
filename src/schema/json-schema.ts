/**
 * JSON Schemas made safe to run on what strangers send: drafts 2020-12 (the default), 2019-09 and 07, bounded in size and
 * depth, without references to anything outside, with patterns that cannot blow up (`pattern.ts`) and uniqueItems in
 * linear time. Formats are checked; keywords that no draft knows are let pass, as the drafts say.
 */
import { createRequire } from 'node:module'
import type { Ajv, AnySchema, ErrorObject, Options, ValidateFunction } from 'ajv'
import { Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import { canonicalJson, parseJson } from './json-text.ts'
import { PatternError, PatternTooSlow, compilePattern } from './pattern.ts'

export interface Violation {
  /** Where in the value: `items[2].price`; '' is the value itself. */
  readonly field: string
  readonly why: string
}
export interface Validator {
  /** null = it fits. The most telling first. */
  (value: unknown): readonly Violation[] | null
}

const violationsMax = 10

/** Throws Fault schema.invalid-schema. */
export function compileSchema(schema: unknown): Validator {
  const text = boundedText(schema)
  const draft = draftOf(schema)
  // A copy: nobody changes it later, and its ids meet no others.
  const own = JSON.parse(text) as AnySchema
  checkAgainstDraft(draft, own)
  const validate = compileOwn(draft, own)
  const check = (value: unknown): readonly Violation[] | null => run(validate, value)
  for (const probe of [null, true, 0, '', [], {}]) if (isEndless(check(probe))) throw endless()
  return check
}

function boundedText(schema: unknown): string {
  if (typeof schema !== 'boolean' && (typeof schema !== 'object' || schema === null || Array.isArray(schema)))
    throw new Fault('schema.invalid-schema', { field: '', why: 'a schema is an object, true or false' })
  const text = JSON.stringify(schema)
  if (text.length > limits.schemaBytes)
    throw new Fault('schema.invalid-schema', { field: '', why: `it is longer than ${limits.schemaBytes} bytes` })
  try {
    parseJson(Buffer.from(text))
  } catch (error) {
    throw new Fault('schema.invalid-schema', { field: '', why: error instanceof Fault ? error.message : '' }, error)
  }
  return text
}

type Draft = '2020-12' | '2019-09' | '07'
const drafts: readonly (readonly [RegExp, Draft])[] = [
  [/^https?:\/\/json-schema\.org\/draft\/2020-12\/schema#?$/, '2020-12'],
  [/^https?:\/\/json-schema\.org\/draft\/2019-09\/schema#?$/, '2019-09'],
  [/^https?:\/\/json-schema\.org\/draft-0[67]\/schema#?$/, '07'],
]
function draftOf(schema: unknown): Draft {
  const named = typeof schema === 'object' ? (schema as { $schema?: unknown }).$schema : undefined
  if (named === undefined) return '2020-12'
  for (const [form, draft] of drafts) if (typeof named === 'string' && form.test(named)) return draft
  throw new Fault('schema.invalid-schema', {
    field: '$schema',
    why: `${JSON.stringify(named)} is not a draft known here`,
  })
}

const shared: Options = {
  strict: false,
  logger: false,
  // Only what the sender wrote counts: `toString` is not a property of {}.
  ownProperties: true,
  code: { regExp: Object.assign((source: string) => compilePattern(source), { code: 'pattern' }) },
}
/** Loaded with the first schema: a program without schemas starts without it. */
const load = createRequire(import.meta.url)
function newAjv(draft: Draft, options: Options): Ajv {
  switch (draft) {
    case '2020-12': {
      const { Ajv2020 } = load('ajv/dist/2020.js') as typeof import('ajv/dist/2020.js')
      return new Ajv2020(options)
    }
    case '2019-09': {
      const { Ajv2019 } = load('ajv/dist/2019.js') as typeof import('ajv/dist/2019.js')
      return new Ajv2019(options)
    }
    case '07': {
      const { Ajv } = load('ajv') as typeof import('ajv')
      return new Ajv(options)
    }
  }
}

const metaValidators = new Map<Draft, Ajv>()
function checkAgainstDraft(draft: Draft, schema: AnySchema): void {
  let meta = metaValidators.get(draft)
  if (meta === undefined) {
    // The drafts' own schemas are trusted: their patterns run on the host's engine.
    meta = newAjv(draft, { strict: false, logger: false, formats: { regex: true, uri: true, 'uri-reference': true } })
    metaValidators.set(draft, meta)
  }
  if (meta.validateSchema(schema) === true) return
  const first = violations(meta.errors ?? [])[0]
  throw new Fault('schema.invalid-schema', { field: first?.field ?? '', why: first?.why ?? 'it is not a schema' })
}

function compileOwn(draft: Draft, schema: AnySchema): ValidateFunction {
  const ajv = newAjv(draft, { ...shared, meta: false, validateSchema: false })
  ;(load('ajv-formats') as typeof import('ajv-formats')).default(ajv)
  ajv.removeKeyword('uniqueItems')
  ajv.addKeyword({ keyword: 'uniqueItems', type: 'array', schemaType: 'boolean', validate: uniqueItems })
  try {
    const validate = ajv.compile(schema)
    if ('$async' in validate) throw new PatternError('it is asynchronous')
    return validate
  } catch (error) {
    throw new Fault('schema.invalid-schema', { field: '', why: whyNot(error) }, error)
  }
}
function uniqueItems(wanted: boolean, items: readonly unknown[]): boolean {
  return !wanted || new Set(items.map(canonicalJson)).size === items.length
}
function whyNot(error: unknown): string {
  if (error instanceof RangeError) return 'it is nested too deeply'
  const message = error instanceof Error ? error.message : String(error)
  if (error instanceof PatternError) return `a pattern cannot be used: ${message}`
  const missing = /^can't resolve reference (\S+)/.exec(message)
  return missing === null ? message : `it refers to ${missing[1]}, which is not inside it`
}

const endlessWhy = 'makes the schema refer to itself without end'
const isEndless = (found: readonly Violation[] | null): boolean => found?.[0]?.why === endlessWhy
const endless = (): Fault => new Fault('schema.invalid-schema', { field: '', why: 'it refers to itself without end' })

function run(validate: ValidateFunction, value: unknown): readonly Violation[] | null {
  try {
    if (validate(value) === true) return null
    return violations(validate.errors ?? [])
  } catch (error) {
    if (error instanceof RangeError) return [{ field: '', why: endlessWhy }]
    if (error instanceof PatternTooSlow)
      return [{ field: '', why: 'has a text on which a pattern takes too many steps' }]
    throw error
  }
}

function violations(errors: readonly ErrorObject[]): Violation[] {
  const depth = (e: ErrorObject): number => e.instancePath.split('/').length
  const sorted = errors.toSorted((a, b) => depth(b) - depth(a))
  return sorted.slice(0, violationsMax).map((error) => {
    const name = innerName(error)
    const place = error.instancePath.split('/').slice(1).map(unescapePointer)
    return { field: pathText(name === null ? place : [...place, name]), why: sentence(error) }
  })
}
const unescapePointer = (part: string): string => part.replaceAll('~1', '/').replaceAll('~0', '~')

/** The property that the error is about, where it is not the place itself. */
function innerName(error: ErrorObject): string | null {
  const facts = error.params as Readonly<Record<string, unknown>>
  for (const fact of ['missingProperty', 'additionalProperty', 'unevaluatedProperty', 'propertyName'])
    if (typeof facts[fact] === 'string') return facts[fact]
  return null
}
function sentence(error: ErrorObject): string {
  const facts = error.params as Readonly<Record<string, unknown>>
  if (facts['missingProperty'] !== undefined) return 'is missing'
  if (facts['additionalProperty'] !== undefined || facts['unevaluatedProperty'] !== undefined)
    return 'is a field that the schema does not allow'
  if (error.keyword === 'false schema') return 'is not allowed'
  if (error.keyword === 'uniqueItems') return 'must not have the same item twice'
  const message = error.message ?? 'does not fit'
  const allowed = facts['allowedValues'] ?? facts['allowedValue']
  return allowed === undefined ? message : `${message}: ${JSON.stringify(allowed).slice(0, 200)}`
}

/** `a.b[2]`, with names that are not words in brackets and quotes. */
function pathText(parts: readonly string[]): string {
  let out = ''
  for (const part of parts) {
    if (/^(0|[1-9]\d*)$/.test(part)) out += `[${part}]`
    else if (/^[\p{L}_$][\p{L}\p{N}_$-]*$/u.test(part)) out += out === '' ? part : `.${part}`
    else out += `[${JSON.stringify(part.slice(0, 200))}]`
  }
  return out
}
