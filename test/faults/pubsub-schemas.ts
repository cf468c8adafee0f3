/**
 * A schema and the topic that asks for it: revisions are committed, rolled back to, deleted, and so is the schema. What was
 * not answered is there whole or not at all, and the topic says so.
 */
import { empty } from '../../src/wire/protobuf/well-known.ts'
import * as m from '../../src/wire/pubsub/messages.ts'
import * as s from '../../src/wire/pubsub/schema-messages.ts'
import { Part, status, textOf } from './pubsub-part.ts'
import type { Server, Told } from './pubsub-link.ts'

const id = 'ledger'
const name = `projects/p/schemas/${id}`
const topic = 'projects/p/topics/ledger'
const deleted = '_deleted-schema_'
const revisionsMax = 8
interface Revision {
  readonly revisionId: string
  readonly definition: string
}

export class Schemas extends Part {
  /** Oldest first; empty: there is none. */
  #revisions: readonly Revision[] = []
  #topicSays = deleted
  #fields = 1

  constructor(server: Server, random: () => number) {
    super('schemas', server, random)
  }
  override async run(): Promise<void> {
    await this.#create()
    await this.asked(() => this.#createTopic())
    this.#topicSays = name
    while (!this.stopping) {
      if (this.#revisions.length === 0) await this.#create()
      else if (this.#topicSays === deleted) await this.#bind()
      else
        await this.one([
          [this.#revisions.length < revisionsMax ? 10 : 0, () => this.#commit()],
          [this.#revisions.length < revisionsMax ? 6 : 0, () => this.#rollback()],
          [this.#revisions.length > 1 ? 4 : 0, () => this.#removeRevision()],
          [10, () => this.#publish()],
          [3, () => this.#remove()],
        ])
    }
    this.link.close()
  }
  #createTopic(): Promise<Told<object>> {
    return this.link.tell('CreateTopic', (calls) =>
      calls.topic('ledger', { schemaSettings: { schema: name, encoding: 'JSON' } }),
    )
  }
  /** Each has other fields, all of which have defaults. */
  #definition(): string {
    const fields = Array.from({ length: 1 + this.below(4) }, (_, i) => `f${i === 0 ? 0 : this.#fields++}`)
    return JSON.stringify({
      type: 'record',
      name: 'R',
      fields: fields.map((field) => ({ name: field, type: 'int', default: 0 })),
    })
  }
  /** What is there, and it is as it was, or as it was to become. */
  async #look(what: string, told: Told<unknown>, next: (there: readonly Revision[]) => boolean): Promise<void> {
    const isDone = this.isDone(what, told)
    const types = [s.listSchemaRevisionsRequest, s.listSchemaRevisionsResponse] as const
    const request = { name, view: 'FULL', pageSize: 100 } as const
    const found = await this.asked(() => this.link.call('SchemaService/ListSchemaRevisions', types, request))
    const there = this.isGone(found) ? [] : found.schemas.toReversed()
    const isBefore = alike(there, this.#revisions)
    if (isDone ? !next(there) : !isBefore && !next(there))
      this.problem(`after ${what} (${told.is}) it has ${shown(there)}, and had ${shown(this.#revisions)}`)
    this.#revisions = there
  }
  async #create(): Promise<void> {
    const definition = this.#definition()
    const schema = { name, type: 'AVRO', definition } as const
    const types = [s.createSchemaRequest, s.schemaMessage] as const
    const request = { parent: 'projects/p', schemaId: id, schema }
    const told = await this.link.call('SchemaService/CreateSchema', types, request)
    await this.#look('CreateSchema', told, (there) => there.length === 1 && there[0]!.definition === definition)
  }
  async #commit(): Promise<void> {
    const definition = this.#definition()
    const schema = { name, type: 'AVRO', definition } as const
    const types = [s.commitSchemaRequest, s.schemaMessage] as const
    const told = await this.link.call('SchemaService/CommitSchema', types, { name, schema })
    await this.#look('CommitSchema', told, (there) => this.#isOneMore(there, told, definition))
  }
  async #rollback(): Promise<void> {
    const { revisionId, definition } = this.#revisions[this.below(this.#revisions.length)]!
    const types = [s.rollbackSchemaRequest, s.schemaMessage] as const
    const told = await this.link.call('SchemaService/RollbackSchema', types, { name, revisionId })
    await this.#look('RollbackSchema', told, (there) => this.#isOneMore(there, told, definition))
  }
  #isOneMore(there: readonly Revision[], told: Told<Revision>, definition: string): boolean {
    const last = there.at(-1)
    const isAnswered = told.is !== 'answered' || told.value.revisionId === last?.revisionId
    return isAnswered && last?.definition === definition && alike(there.slice(0, -1), this.#revisions)
  }
  async #removeRevision(): Promise<void> {
    const revision = this.#revisions[this.below(this.#revisions.length)]!
    const types = [s.deleteSchemaRevisionRequest, s.schemaMessage] as const
    const request = { name: `${name}@${revision.revisionId}`, revisionId: '' }
    const told = await this.link.call('SchemaService/DeleteSchemaRevision', types, request)
    const left = this.#revisions.filter((one) => one !== revision)
    await this.#look('DeleteSchemaRevision', told, (there) => alike(there, left))
  }
  async #remove(): Promise<void> {
    const types = [s.deleteSchemaRequest, empty] as const
    const told = await this.link.call('SchemaService/DeleteSchema', types, { name })
    await this.#look('DeleteSchema', told, (there) => there.length === 0)
    // One cannot be without the other.
    await this.#checkTopic([this.#revisions.length === 0 ? deleted : name])
    await this.#publish()
  }
  async #checkTopic(expected: readonly string[]): Promise<void> {
    const types = [m.getTopicRequest, m.topicMessage] as const
    const found = await this.asked(() => this.link.call('Publisher/GetTopic', types, { topic }))
    if (found instanceof Error) return this.problem(`GetTopic was refused: ${textOf(found)}`)
    this.#topicSays = found.schemaSettings?.schema ?? ''
    if (!expected.includes(this.#topicSays))
      this.problem(`its topic says ${this.#topicSays}, not ${expected.join(' or ')}`)
  }
  async #bind(): Promise<void> {
    const types = [m.updateTopicRequest, m.topicMessage] as const
    const request = {
      topic: { name: topic, schemaSettings: { schema: name, encoding: 'JSON' } },
      updateMask: { paths: ['schema_settings'] },
    } as const
    const told = await this.link.call('Publisher/UpdateTopic', types, request)
    await this.#checkTopic(this.isDone('UpdateTopic', told) ? [name] : [name, deleted])
  }
  /** What fits a revision is taken, nothing else is. */
  async #publish(): Promise<void> {
    const { definition } = this.#revisions[this.below(this.#revisions.length)] ?? { definition: '{"fields":[]}' }
    const { fields } = JSON.parse(definition) as { fields: { name: string }[] }
    const given = Object.fromEntries(fields.map((field, i) => [field.name, i]))
    const good = await this.link.tell('Publish', (calls) => calls.publish('ledger', JSON.stringify(given)))
    const isDeleted = this.#topicSays === deleted
    if (isDeleted) this.#mustRefuse(good, status.precondition)
    else this.isDone('Publish', good)
    const bad = JSON.stringify({ ...given, f0: 'x' })
    const refused = await this.link.tell('Publish', (calls) => calls.publish('ledger', bad))
    this.#mustRefuse(refused, isDeleted ? status.precondition : status.invalid)
  }
  #mustRefuse(told: Told<unknown>, why: number): void {
    if (told.is === 'answered') this.problem('a message was taken that fits no revision')
    if (told.is === 'refused' && told.failure.status !== why) this.problem(`it was refused: ${textOf(told.failure)}`)
  }
}
const alike = (some: readonly Revision[], others: readonly Revision[]): boolean =>
  some.length === others.length &&
  some.every(({ revisionId, definition }, i) => {
    const other = others[i]!
    return revisionId === other.revisionId && definition === other.definition
  })
const shown = (all: readonly Revision[]): string => `[${all.map(({ revisionId }) => revisionId).join(' ')}]`
