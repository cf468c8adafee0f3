/** Schemas with their revisions, and what topics ask of messages by them. */
import { asFault } from '../../lib/fault.ts'
import type { World } from '../../lib/world.ts'
import type { KeptChange, KeptMap } from '../../log/kept-map.ts'
import { fromJson, toJson } from '../../wire/protobuf/json.ts'
import { secondsOf } from '../../wire/protobuf/well-known.ts'
import type { Encoding, SchemaSettings } from '../../wire/pubsub/messages.ts'
import { type SchemaMessage, schemaMessage } from '../../wire/pubsub/schema-messages.ts'
import type { Carried } from './carried.ts'
import { invalid, notFound, precondition } from './errors.ts'
import { deletedSchema, parseName } from './names.ts'
import { type Check, checkOf, incompatible } from './schema-check.ts'

/** Oldest first. */
export interface KeptSchema {
  readonly revisions: readonly SchemaMessage[]
}
export interface Enforced {
  /** With the attributes that name the schema. Throws RpcError INVALID_ARGUMENT. */
  checked(message: Carried): Carried
}
const revisionsMax = 20
const revisionBytes = 4

export class SchemaStore {
  readonly #kept: KeptMap
  readonly #world: Pick<World, 'clock' | 'random'>
  readonly #schemas = new Map<string, KeptSchema>()
  readonly #checks = new WeakMap<SchemaMessage, Check>()

  constructor(kept: KeptMap, world: Pick<World, 'clock' | 'random'>) {
    this.#kept = kept
    this.#world = world
  }
  restore(id: string, value: Record<string, unknown>): void {
    const revisions = (value['revisions'] as unknown[]).map((one) => fromJson(schemaMessage, one))
    this.#schemas.set(id, { revisions })
  }
  get count(): number {
    return this.#schemas.size
  }
  get(id: string): KeptSchema | null {
    return this.#schemas.get(id) ?? null
  }
  all(): (readonly [id: string, schema: KeptSchema])[] {
    return [...this.#schemas].toSorted(([a], [b]) => (a < b ? -1 : 1))
  }
  /** Throws RpcError NOT_FOUND. `name` may end in `@revision`. */
  find(name: string): { readonly id: string; readonly schema: KeptSchema; readonly revision: SchemaMessage } {
    const { id, revisionId } = splitRevision(parseName('schemas', name).id)
    const schema = this.#schemas.get(id)
    const revision =
      revisionId === null ? schema?.revisions.at(-1) : schema?.revisions.find((one) => one.revisionId === revisionId)
    if (schema === undefined || revision === undefined) throw notFound(name.split('/').at(-1)!)
    return { id, schema, revision }
  }
  /** Throws RpcError INVALID_ARGUMENT. */
  check(schema: Pick<SchemaMessage, 'type' | 'definition'>): Check {
    if (schema.type !== 'AVRO' && schema.type !== 'PROTOCOL_BUFFER')
      throw invalid('Invalid schema type given. It must be AVRO or PROTOCOL_BUFFER.')
    if (schema.definition === '') throw invalid('A schema must have a definition.')
    try {
      return checkOf(schema)
    } catch (error) {
      throw invalid(`Invalid schema definition: ${asFault(error).message}`)
    }
  }
  /** A new newest revision. Throws RpcError. */
  async commit(id: string, given: SchemaMessage): Promise<SchemaMessage> {
    this.check(given)
    const { revisions } = this.#schemas.get(id) ?? { revisions: [] }
    const newest = revisions.at(-1)
    const why = newest === undefined ? null : incompatible(newest, given)
    if (why !== null) throw invalid(`Incompatible schema revision: ${why}`)
    return this.#add(id, revisions, given)
  }
  /** Throws RpcError FAILED_PRECONDITION. */
  rollback(id: string, { revisions }: KeptSchema, to: SchemaMessage): Promise<SchemaMessage> {
    return this.#add(id, revisions, to)
  }
  async #add(id: string, revisions: readonly SchemaMessage[], given: SchemaMessage): Promise<SchemaMessage> {
    if (revisions.length >= revisionsMax)
      throw precondition(`The schema has ${revisionsMax} revisions, and may have no more: delete one first.`)
    const revision = this.#revision(given)
    await this.#put(id, { revisions: [...revisions, revision] })
    return revision
  }
  async removeRevision(id: string, { revisions }: KeptSchema, revision: SchemaMessage): Promise<SchemaMessage> {
    if (revisions.length === 1) throw invalid('The last revision of a schema cannot be deleted: delete the schema.')
    const left = revisions.filter((one) => one !== revision)
    await this.#put(id, { revisions: left })
    return left.at(-1)!
  }
  /** With what changes by it elsewhere. */
  async remove(id: string, others: readonly KeptChange[]): Promise<void> {
    await this.#kept.change([{ key: `schemas/${id}`, value: null }, ...others])
    this.#schemas.delete(id)
  }
  #revision(given: SchemaMessage): SchemaMessage {
    const revisionId = Buffer.from(this.#world.random.bytes(revisionBytes)).toString('hex')
    return { ...given, revisionId, revisionCreateTime: secondsOf(this.#world.clock.now()) }
  }
  async #put(id: string, schema: KeptSchema): Promise<void> {
    const value = { revisions: schema.revisions.map((one) => toJson(schemaMessage, one)) }
    await this.#kept.change([{ key: `schemas/${id}`, value: Buffer.from(JSON.stringify(value)) }])
    this.#schemas.set(id, schema)
  }

  // --- on topics

  /** Throws RpcError. */
  checkSettings(settings: SchemaSettings | null): void {
    if (settings === null || settings.schema === '') return
    if (settings.encoding !== 'JSON' && settings.encoding !== 'BINARY')
      throw invalid('Invalid encoding given in schema_settings. It must be JSON or BINARY.')
    if (settings.schema.includes('@'))
      throw invalid(
        `Invalid schema given in schema_settings (schema=${settings.schema}). Revisions are named beside it.`,
      )
    const { revisions } = this.find(settings.schema).schema
    const [first, last] = [settings.firstRevisionId, settings.lastRevisionId].map((id) => {
      const place = revisions.findIndex(({ revisionId }) => revisionId === id)
      if (id !== '' && place < 0) throw notFound(`${settings.schema}@${id}`)
      return place
    }) as [number, number]
    if (last >= 0 && first > last)
      throw invalid('Invalid schema_settings given. first_revision_id must not be newer than last_revision_id.')
  }
  /** null: nothing is asked. Throws RpcError FAILED_PRECONDITION where the schema is gone. */
  enforced(settings: SchemaSettings | null): Enforced | null {
    if (settings === null || settings.schema === '') return null
    const { schema: name, encoding } = settings
    const schema = name === deletedSchema ? undefined : this.#schemas.get(schemaIdOf(name))
    if (schema === undefined) throw precondition(`The schema of the topic was deleted (resource=${name}).`)
    const candidates = inRange(schema.revisions, settings).toReversed()
    return {
      checked: (message) => {
        let why: string | null = 'there is no revision that it may have'
        for (const revision of candidates) {
          why = this.#checkOf(revision)(message.data, encoding)
          if (why === null) return labelled(message, name, encoding, revision.revisionId)
        }
        throw invalid(`Invalid data in message: Message failed schema validation: ${why}`)
      },
    }
  }
  #checkOf(revision: SchemaMessage): Check {
    let check = this.#checks.get(revision)
    if (check === undefined) this.#checks.set(revision, (check = checkOf(revision)))
    return check
  }
}

export const schemaIdOf = (name: string): string => splitRevision(parseName('schemas', name).id).id
export function splitRevision(id: string): { id: string; revisionId: string | null } {
  const [name = '', revisionId = null] = id.split('@')
  return { id: name, revisionId }
}
function inRange(
  revisions: readonly SchemaMessage[],
  { firstRevisionId, lastRevisionId }: SchemaSettings,
): SchemaMessage[] {
  const placeOf = (id: string, otherwise: number): number =>
    id === '' ? otherwise : revisions.findIndex(({ revisionId }) => revisionId === id)
  const first = placeOf(firstRevisionId, 0)
  // Of a bound that was deleted nobody knows where it lay.
  return first < 0 ? [] : revisions.slice(first, placeOf(lastRevisionId, revisions.length - 1) + 1)
}
function labelled(message: Carried, schema: string, encoding: Encoding, revisionId: string): Carried {
  const attributes = new Map(message.attributes)
  attributes.set('googclient_schemaencoding', encoding)
  attributes.set('googclient_schemaname', schema)
  attributes.set('googclient_schemarevisionid', revisionId)
  return { ...message, attributes }
}
