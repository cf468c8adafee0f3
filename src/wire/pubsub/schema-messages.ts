/** Messages of google.pubsub.v1 (schema.proto). */
import { type Of, bytes, enumOf, int32, list, message, string, sub } from '../protobuf/message.ts'
import { timestamp } from '../protobuf/well-known.ts'
import { encodings } from './messages.ts'

const named = 'google.pubsub.v1.'
export const schemaMessage = message(`${named}Schema`, {
  name: string(1),
  type: enumOf(2, { TYPE_UNSPECIFIED: 0, PROTOCOL_BUFFER: 1, AVRO: 2 }),
  definition: string(3),
  revisionId: string(4),
  revisionCreateTime: sub(6, timestamp),
})
export type SchemaMessage = Of<typeof schemaMessage>
const view = enumOf(2, { SCHEMA_VIEW_UNSPECIFIED: 0, BASIC: 1, FULL: 2 })
export const createSchemaRequest = message(`${named}CreateSchemaRequest`, {
  parent: string(1),
  schema: sub(2, schemaMessage),
  schemaId: string(3),
})
export const getSchemaRequest = message(`${named}GetSchemaRequest`, { name: string(1), view })
export const listSchemasRequest = message(`${named}ListSchemasRequest`, {
  parent: string(1),
  view,
  pageSize: int32(3),
  pageToken: string(4),
})
const schemas = { schemas: list(1, schemaMessage), nextPageToken: string(2) }
export const listSchemasResponse = message(`${named}ListSchemasResponse`, schemas)
export const listSchemaRevisionsRequest = message(`${named}ListSchemaRevisionsRequest`, {
  name: string(1),
  view,
  pageSize: int32(3),
  pageToken: string(4),
})
export const listSchemaRevisionsResponse = message(`${named}ListSchemaRevisionsResponse`, schemas)
export const commitSchemaRequest = message(`${named}CommitSchemaRequest`, {
  name: string(1),
  schema: sub(2, schemaMessage),
})
export const rollbackSchemaRequest = message(`${named}RollbackSchemaRequest`, {
  name: string(1),
  revisionId: string(2),
})
export const deleteSchemaRevisionRequest = message(`${named}DeleteSchemaRevisionRequest`, {
  name: string(1),
  revisionId: string(2),
})
export const deleteSchemaRequest = message(`${named}DeleteSchemaRequest`, { name: string(1) })
export const validateSchemaRequest = message(`${named}ValidateSchemaRequest`, {
  parent: string(1),
  schema: sub(2, schemaMessage),
})
export const validateSchemaResponse = message(`${named}ValidateSchemaResponse`, {})
export const validateMessageRequest = message(`${named}ValidateMessageRequest`, {
  parent: string(1),
  name: string(2),
  schema: sub(3, schemaMessage),
  message: bytes(4),
  encoding: enumOf(5, encodings),
})
export const validateMessageResponse = message(`${named}ValidateMessageResponse`, {})
