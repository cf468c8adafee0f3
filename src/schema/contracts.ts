/**
 * What a topic promises about its events: a JSON Schema, what happens to an event that does not fit, and the field that
 * its key is taken from. Kept in the catalogue as entries of kind `contract`, compiled when first needed.
 */
import { Fault } from '../lib/fault.ts'
import { decodeBatch } from '../log/batch.ts'
import type { Intake } from '../log/broker.ts'
import type { Catalog } from '../log/catalog.ts'
import { type Validator, compileSchema } from './json-schema.ts'
import { jsonMember, isJsonObject, parseJson, trimJson } from './json-text.ts'
import { keyOfColumns, sameKey } from './key.ts'

export type OnInvalid = 'reject' | 'quarantine' | 'null'
export interface Contract {
  readonly topic: string
  /** null = none. */
  readonly schema: unknown
  /** null = each way in by its own custom: refused where the answer can say so, quarantined on Kafka produce. */
  readonly onInvalid: OnInvalid | null
  readonly keyField: string | null
}
export interface ContractChange {
  readonly schema?: unknown
  readonly onInvalid?: OnInvalid | null
  readonly keyField?: string | null
}

export interface DeclaredFields {
  readonly names: readonly string[]
  /** An event with any other is refused. */
  readonly isClosed: boolean
}

export interface CheckedEvent {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  /** What the value says, where someone has parsed it already. */
  readonly parsed?: { readonly value: unknown }
}

export interface Contracts {
  get(topic: string): Contract | null
  all(): readonly Contract[]
  /** Changes what is named, keeps the rest; a contract with nothing left is removed. Throws Fault schema.invalid-schema. */
  change(topic: string, change: ContractChange): Promise<Contract | null>
  remove(topic: string): Promise<void>
  /** Why an event does not fit: json.malformed, schema.invalid, schema.key-mismatch. null = it fits, or there is no contract. */
  check(topic: string, event: CheckedEvent): Fault | null
  /** The same, where the contract says `reject`: what else does not fit is let in, and sorted out later if it is to be. */
  refuses(topic: string, event: CheckedEvent): Fault | null
  /** The key that the key field gives; null without a key field, or where the value has none. `checked`: it is JSON. */
  keyOf(topic: string, value: Uint8Array | null, checked?: boolean): Uint8Array | null
  /** Fields that its events have; null where there is no schema, or it cannot be read off it. */
  fields(topic: string): DeclaredFields | null
  /** For Kafka produce: refuses the bad records of a batch where onInvalid is `reject`, lets everything else in. */
  readonly intake: Intake
  /** Names of topics whose contract changed. Returns the way to stop. */
  onChange(call: (topics: readonly string[]) => void): () => void
}

export function openContracts({ catalog }: { catalog: Catalog }): Contracts {
  return new CatalogContracts(catalog)
}

class CatalogContracts implements Contracts {
  readonly #catalog: Catalog
  /** What the catalogue says, read and compiled on first use. */
  readonly #read = new Map<string, Contract>()
  readonly #compiled = new Map<string, Validator>()

  constructor(catalog: Catalog) {
    this.#catalog = catalog
    catalog.onChange((changed) => {
      for (const { kind, name } of changed) {
        if (kind !== 'contract') continue
        this.#read.delete(name)
        this.#compiled.delete(name)
      }
    })
  }

  get(topic: string): Contract | null {
    const known = this.#read.get(topic)
    if (known !== undefined) return known
    const entry = this.#catalog.get('contract', topic)
    if (entry === null) return null
    const contract = readContract(topic, entry.value)
    this.#read.set(topic, contract)
    return contract
  }
  all(): readonly Contract[] {
    return this.#catalog.all('contract').map(({ name, value }) => readContract(name, value))
  }
  onChange(call: (topics: readonly string[]) => void): () => void {
    return this.#catalog.onChange((changed) => {
      const topics = changed.filter(({ kind }) => kind === 'contract').map(({ name }) => name)
      if (topics.length > 0) call(topics)
    })
  }

  async change(topic: string, change: ContractChange): Promise<Contract | null> {
    const old = this.get(topic)
    const next: Contract = {
      topic,
      schema: change.schema === undefined ? (old?.schema ?? null) : change.schema,
      onInvalid: change.onInvalid === undefined ? (old?.onInvalid ?? null) : change.onInvalid,
      keyField: change.keyField === undefined ? (old?.keyField ?? null) : change.keyField,
    }
    if (next.schema !== null) compileSchema(next.schema)
    const empty = next.schema === null && next.onInvalid === null && next.keyField === null
    if (empty && old === null) return null
    const { schema, onInvalid, keyField } = next
    await this.#catalog.change([
      { kind: 'contract', name: topic, value: empty ? null : { schema, onInvalid, keyField } },
    ])
    return empty ? null : next
  }
  async remove(topic: string): Promise<void> {
    if (this.#catalog.get('contract', topic) !== null)
      await this.#catalog.change([{ kind: 'contract', name: topic, value: null }])
  }

  check(topic: string, event: CheckedEvent): Fault | null {
    const contract = this.get(topic)
    return contract === null ? null : this.#checkBy(contract, event)
  }
  refuses(topic: string, event: CheckedEvent): Fault | null {
    const contract = this.get(topic)
    return contract?.onInvalid === 'reject' ? this.#checkBy(contract, event) : null
  }
  #checkBy(contract: Contract, { key, value, parsed }: CheckedEvent): Fault | null {
    // No value means that the key is gone; there is nothing to check.
    if (value === null) return null
    if (contract.schema !== null) {
      const fault = this.#checkValue(contract, value, parsed)
      if (fault !== null) return fault
    }
    return key === null || contract.keyField === null ? null : checkKey(contract.topic, contract.keyField, key, value)
  }
  #checkValue({ topic, schema }: Contract, value: Uint8Array, parsed: CheckedEvent['parsed']): Fault | null {
    try {
      const said = parsed === undefined ? parseJson(value) : parsed.value
      const first = this.#validator(topic, schema)(said)?.[0]
      return first === undefined ? null : new Fault('schema.invalid', { topic, ...first })
    } catch (error) {
      if (error instanceof Fault) return error
      throw error
    }
  }
  #validator(topic: string, schema: unknown): Validator {
    let validator = this.#compiled.get(topic)
    if (validator === undefined) {
      validator = compileSchema(schema)
      this.#compiled.set(topic, validator)
    }
    return validator
  }

  fields(topic: string): DeclaredFields | null {
    return declaredFields(this.get(topic)?.schema ?? null)
  }
  keyOf(topic: string, value: Uint8Array | null, checked = false): Uint8Array | null {
    const field = this.get(topic)?.keyField ?? null
    return field === null || value === null ? null : keyFromFields([field], value, checked)
  }

  readonly intake: Intake = (topic, batch) => {
    const contract = this.get(topic)
    if (contract === null || contract.onInvalid !== 'reject') return null
    const wrong: { index: number; message: string }[] = []
    decodeBatch(batch).forEach(({ key, value }, index) => {
      const fault = this.#checkBy(contract, { key, value })
      if (fault !== null) wrong.push({ index, message: fault.message })
    })
    return wrong.length === 0 ? null : wrong
  }
}

/** By these, fields are declared elsewhere than in `properties`. */
const elsewhere = '$ref $dynamicRef allOf anyOf oneOf if then else not dependentSchemas patternProperties'.split(' ')
function declaredFields(schema: unknown): DeclaredFields | null {
  if (typeof schema !== 'object' || schema === null) return null
  const { properties, additionalProperties, unevaluatedProperties } = schema as Readonly<Record<string, unknown>>
  if (typeof properties !== 'object' || properties === null || elsewhere.some((keyword) => keyword in schema))
    return null
  return { names: Object.keys(properties), isClosed: additionalProperties === false || unevaluatedProperties === false }
}

const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')

function checkKey(topic: string, field: string, key: Uint8Array, value: Uint8Array): Fault | null {
  const bytes = keyFromFields([field], value)
  if (bytes === null) return null
  const said = textOf(bytes)
  const found = textOf(key)
  if (sameKey(found, said)) return null
  const short = (text: string): string => JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text)
  return new Fault('schema.key-mismatch', { topic, field, key: short(found), value: short(said) })
}

/** null when the value is no JSON object, has none of the fields, or says null there. `checked`: it is known to be JSON. */
export function keyFromFields(fields: readonly string[], value: Uint8Array, checked = false): Uint8Array | null {
  const text = trimJson(value)
  if (!isJsonObject(text) || !(checked || isJson(text))) return null
  const key = keyOfColumns(fields.map((field) => jsonMember(text, field)))
  return key === null ? null : Buffer.from(key, 'utf8')
}
function isJson(text: Uint8Array): boolean {
  try {
    parseJson(text)
    return true
  } catch {
    return false
  }
}

/** The entry as this layer wrote it; anything else in its place reads as none. */
function readContract(topic: string, value: unknown): Contract {
  const entry = (typeof value === 'object' && value !== null ? value : {}) as Readonly<Record<string, unknown>>
  const onInvalid = entry['onInvalid']
  return {
    topic,
    schema: entry['schema'] ?? null,
    onInvalid: onInvalid === 'reject' || onInvalid === 'quarantine' || onInvalid === 'null' ? onInvalid : null,
    keyField: typeof entry['keyField'] === 'string' ? entry['keyField'] : null,
  }
}
