/** google.pubsub.v1.SchemaService */
import { empty } from '../../../wire/protobuf/well-known.ts'
import {
  type SchemaMessage,
  commitSchemaRequest,
  createSchemaRequest,
  deleteSchemaRequest,
  deleteSchemaRevisionRequest,
  getSchemaRequest,
  listSchemaRevisionsRequest,
  listSchemaRevisionsResponse,
  listSchemasRequest,
  listSchemasResponse,
  rollbackSchemaRequest,
  schemaMessage,
  validateMessageRequest,
  validateMessageResponse,
  validateSchemaRequest,
  validateSchemaResponse,
} from '../../../wire/pubsub/schema-messages.ts'
import { limits } from '../../../lib/limits.ts'
import { alreadyExists, checkRoom, invalid } from '../errors.ts'
import { type AnyMethod, method } from '../method.ts'
import { type ResourceName, nameOf, parseName, parseNewName, parseProject } from '../names.ts'
import { pageOf } from '../paging.ts'
import { splitRevision } from '../schema-store.ts'

const service = 'SchemaService' as const
const path = '{name=projects/*/schemas/*}'

function shown(message: SchemaMessage, name: string, view: string): SchemaMessage {
  return { ...message, name, definition: view === 'BASIC' ? '' : message.definition }
}
/** Without the revision that it may end in. */
const plain = (name: string): string => name.split('@')[0]!

/** Of what is done to the whole schema. Throws RpcError INVALID_ARGUMENT. */
function withoutRevision(name: string): ResourceName {
  const parsed = parseName('schemas', name)
  if (splitRevision(parsed.id).revisionId !== null)
    throw invalid(`Invalid resource name given (name=${name}). It must not name a revision.`)
  return parsed
}
const createSchema = method({
  service,
  name: 'CreateSchema',
  request: createSchemaRequest,
  response: schemaMessage,
  rest: { verb: 'POST', path: '/v1/{parent=projects/*}/schemas', body: 'schema' },
  async handle({ parent, schema, schemaId }, { service: pubsub, access }) {
    const project = parseProject(parent)
    if (schema === null) throw invalid('The schema in the CreateSchemaRequest must be set.')
    const id = schemaId === '' ? (schema.name.split('/').at(-1) ?? '') : schemaId
    const name = nameOf('schemas', project, id)
    parseNewName('schemas', name)
    access.demandCluster('alter')
    return pubsub.turn('schemas', id, async () => {
      if (pubsub.schemas.get(id) !== null) throw alreadyExists(id)
      checkRoom('schemas', pubsub.schemas.count, limits.pubsubSchemas)
      return pubsub.schemas.commit(id, { ...schema, name })
    })
  },
})
const getSchema = method({
  service,
  name: 'GetSchema',
  request: getSchemaRequest,
  response: schemaMessage,
  rest: { verb: 'GET', path: `/v1/${path}` },
  handle({ name, view }, { service: pubsub, access }) {
    access.demandCluster('describe')
    return shown(pubsub.schemas.find(name).revision, plain(name), view)
  },
})
const listSchemas = method({
  service,
  name: 'ListSchemas',
  request: listSchemasRequest,
  response: listSchemasResponse,
  rest: { verb: 'GET', path: '/v1/{parent=projects/*}/schemas' },
  handle(request, { service: pubsub, access }) {
    const project = parseProject(request.parent)
    access.demandCluster('describe')
    const { items, nextPageToken } = pageOf(pubsub.schemas.all(), ([id]) => id, request)
    // As the service has it, a list shows less unless it is asked for all.
    const view = request.view === 'FULL' ? 'FULL' : 'BASIC'
    const schemas = items.map(([id, { revisions }]) => shown(revisions.at(-1)!, nameOf('schemas', project, id), view))
    return { schemas, nextPageToken }
  },
})
const listSchemaRevisions = method({
  service,
  name: 'ListSchemaRevisions',
  request: listSchemaRevisionsRequest,
  response: listSchemaRevisionsResponse,
  rest: { verb: 'GET', path: `/v1/${path}:listRevisions` },
  handle(request, { service: pubsub, access }) {
    access.demandCluster('describe')
    const { revisions } = pubsub.schemas.find(request.name).schema
    const places = new Map(
      revisions.map(({ revisionId }, i) => [revisionId, String(revisions.length - i).padStart(4, '0')]),
    )
    const newestFirst = revisions.toReversed()
    const { items, nextPageToken } = pageOf(newestFirst, ({ revisionId }) => places.get(revisionId)!, request)
    const view = request.view === 'FULL' ? 'FULL' : 'BASIC'
    return { schemas: items.map((one) => shown(one, plain(request.name), view)), nextPageToken }
  },
})
const commitSchema = method({
  service,
  name: 'CommitSchema',
  request: commitSchemaRequest,
  response: schemaMessage,
  rest: { verb: 'POST', path: `/v1/${path}:commit`, body: '*' },
  async handle({ name, schema }, { service: pubsub, access }) {
    if (schema === null) throw invalid('The schema in the CommitSchemaRequest must be set.')
    access.demandCluster('alter')
    const { id } = withoutRevision(name)
    return pubsub.turn('schemas', id, async () => {
      pubsub.schemas.find(name)
      return pubsub.schemas.commit(id, { ...schema, name })
    })
  },
})
const rollbackSchema = method({
  service,
  name: 'RollbackSchema',
  request: rollbackSchemaRequest,
  response: schemaMessage,
  rest: { verb: 'POST', path: `/v1/${path}:rollback`, body: '*' },
  async handle({ name, revisionId }, { service: pubsub, access }) {
    access.demandCluster('alter')
    return pubsub.turn('schemas', splitRevision(parseName('schemas', name).id).id, async () => {
      const { id, schema, revision } = pubsub.schemas.find(`${plain(name)}@${revisionId}`)
      return pubsub.schemas.rollback(id, schema, { ...revision, name: plain(name) })
    })
  },
})
const deleteSchemaRevision = method({
  service,
  name: 'DeleteSchemaRevision',
  request: deleteSchemaRevisionRequest,
  response: schemaMessage,
  rest: { verb: 'DELETE', path: `/v1/${path}:deleteRevision` },
  async handle({ name, revisionId }, { service: pubsub, access }) {
    access.demandCluster('alter')
    const given = name.includes('@') ? name : `${name}@${revisionId}`
    return pubsub.turn('schemas', splitRevision(parseName('schemas', given).id).id, async () => {
      const { id, schema, revision } = pubsub.schemas.find(given)
      return shown(await pubsub.schemas.removeRevision(id, schema, revision), plain(name), 'FULL')
    })
  },
})
const deleteSchema = method({
  service,
  name: 'DeleteSchema',
  request: deleteSchemaRequest,
  response: empty,
  rest: { verb: 'DELETE', path: `/v1/${path}` },
  async handle({ name }, { service: pubsub, access }) {
    access.demandCluster('alter')
    const { id } = withoutRevision(name)
    return pubsub.turn('schemas', id, async () => {
      pubsub.schemas.find(name)
      await pubsub.removeSchema(id)
      return {}
    })
  },
})
const validateSchema = method({
  service,
  name: 'ValidateSchema',
  request: validateSchemaRequest,
  response: validateSchemaResponse,
  rest: { verb: 'POST', path: '/v1/{parent=projects/*}/schemas:validate', body: '*' },
  handle({ parent, schema }, { service: pubsub, access }) {
    parseProject(parent)
    access.demandCluster('describe')
    if (schema === null) throw invalid('The schema in the ValidateSchemaRequest must be set.')
    pubsub.schemas.check(schema)
    return {}
  },
})
const validateMessage = method({
  service,
  name: 'ValidateMessage',
  request: validateMessageRequest,
  response: validateMessageResponse,
  rest: { verb: 'POST', path: '/v1/{parent=projects/*}/schemas:validateMessage', body: '*' },
  handle({ parent, name, schema, message, encoding }, { service: pubsub, access }) {
    parseProject(parent)
    access.demandCluster('describe')
    const given = name === '' ? schema : pubsub.schemas.find(name).revision
    if (given === null) throw invalid('A message is validated by the name of a schema or by a schema.')
    if (encoding !== 'JSON' && encoding !== 'BINARY')
      throw invalid('Invalid encoding given. It must be JSON or BINARY.')
    const why = pubsub.schemas.check(given)(message, encoding)
    if (why !== null) throw invalid(`Invalid data in message: Message failed schema validation: ${why}`)
    return {}
  },
})

export const schemas: readonly AnyMethod[] = [
  createSchema,
  getSchema,
  listSchemas,
  listSchemaRevisions,
  commitSchema,
  rollbackSchema,
  deleteSchemaRevision,
  deleteSchema,
  validateSchema,
  validateMessage,
]
