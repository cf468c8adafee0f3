/** The shapes of `api.ts` as JSON Schemas, for openapi.json. A test holds answers against them. */
import type { JsonSchema } from './route.ts'

const text = { type: 'string' } as const
const whole = { type: 'integer' } as const
const count = { type: 'integer', minimum: 0 } as const
const number = { type: 'number' } as const
const truth = { type: 'boolean' } as const
const time = { type: 'string', format: 'date-time' } as const
const or = (schema: JsonSchema): JsonSchema => ({ anyOf: [schema, { type: 'null' }] })
const list = (items: JsonSchema): JsonSchema => ({ type: 'array', items })
const ref = (name: string): JsonSchema => ({ $ref: `#/components/schemas/${name}` })
/** Fields not named in `optional` are required; others may come. */
function object(properties: Readonly<Record<string, JsonSchema>>, optional: readonly string[] = []): JsonSchema {
  return { type: 'object', properties, required: Object.keys(properties).filter((name) => !optional.includes(name)) }
}
const settings: JsonSchema = { type: 'object', additionalProperties: text }
const onInvalid: JsonSchema = { enum: ['reject', 'quarantine', 'null', null] }
const place = object({ partition: count, offset: count })

const topicSummary = {
  name: text,
  id: text,
  partitions: count,
  records: count,
  bytes: count,
  recordsPerSecond: number,
  bytesPerSecond: number,
  retentionMs: number,
  cleanupPolicy: text,
  hasSchema: truth,
}

const qos = { enum: [0, 1, 2] } as const
const mqttSession = {
  client: text,
  user: text,
  version: { enum: ['3.1', '3.1.1', '5'] },
  connectedAt: or(time),
  leftAt: or(time),
  expirySeconds: or(count),
  expiresAt: or(time),
  subscriptions: count,
  waiting: count,
  moreWaiting: truth,
  inFlight: count,
  will: or(object({ topic: text, qos, retain: truth, delaySeconds: count, dueAt: or(time) })),
}

export const components: Readonly<Record<string, JsonSchema>> = {
  Problem: object(
    {
      type: text,
      title: text,
      status: whole,
      code: text,
      detail: text,
      hint: text,
      docs: text,
      field: text,
      position: object({ line: count, column: count }),
      sqlstate: text,
      excerpt: text,
    },
    ['field', 'position', 'sqlstate', 'excerpt'],
  ),
  TopicSummary: object(topicSummary),
  TopicDetail: object({
    ...topicSummary,
    config: settings,
    schema: {},
    onInvalid,
    keyField: or(text),
    partitionDetails: list(object({ partition: count, start: count, stable: count, end: count, bytes: count })),
  }),
  TopicReader: object({
    protocol: { enum: ['mqtt', 'pubsub', 'kinesis', 'eventhubs'] },
    kind: { enum: ['session', 'subscription', 'consumer', 'receiver'] },
    name: text,
    about: text,
    isConnected: or(truth),
    lag: or(count),
  }),
  Gateway: object({ protocol: text }),
  MqttSession: object(mqttSession),
  MqttSessionDetail: object({ ...mqttSession, filters: list(object({ filter: text, qos })) }),
  MqttSessionPage: object({ sessions: list(ref('MqttSession')), next: or(text) }),
  User: object({ name: text, super: truth, mechanisms: list(text) }),
  UserChange: object({ password: text, super: truth }, ['password', 'super']),
  AccessKey: object({ id: text, user: text, created: text }),
  NewAccessKey: object({ user: text, id: text, secret: text }, ['id', 'secret']),
  AccessKeySecret: object({ id: text, user: text, created: text, secret: text }),
  Connector: object({
    name: text,
    kind: text,
    direction: { enum: ['source', 'sink'] },
    settings,
    status: { enum: ['running', 'paused', 'failed'] },
    fault: or(object({ code: text, detail: text, hint: text })),
    faultAt: or(time),
    restartsAt: or(time),
    lag: or(count),
    records: count,
    bytes: count,
    refused: count,
    restarts: count,
    carriedAt: or(time),
  }),
  NewConnector: object({ kind: text, direction: { enum: ['source', 'sink'] }, settings }, ['settings']),
  ConnectorChange: object({ settings: { type: 'object', additionalProperties: or(text) }, paused: truth }, [
    'settings',
    'paused',
  ]),
  TopicChange: {
    type: 'object',
    additionalProperties: false,
    properties: {
      partitions: { type: 'integer', minimum: 1 },
      config: { type: 'object', additionalProperties: or(text) },
      schema: { description: 'JSON Schema of the values; null takes it away.' },
      onInvalid,
      keyField: or(text),
    },
  },
  Payload: { anyOf: [object({ json: {} }), object({ text }), object({ base64: text }), { type: 'null' }] },
  Record: object({
    partition: count,
    offset: count,
    timestamp: time,
    key: ref('Payload'),
    value: ref('Payload'),
    headers: list(object({ name: text, value: ref('Payload') })),
  }),
  RecordPage: object({ records: list(ref('Record')), next: list(place), scanned: count, atEnd: truth }),
  Records: object({
    records: list({
      type: 'object',
      additionalProperties: false,
      properties: {
        key: { description: 'Text, a number, or {"base64": …}; null: by the topic\'s key field.' },
        value: { description: 'Any JSON, kept byte for byte; {"base64": …} as bytes; null: the key is gone.' },
        headers: { description: 'An object of names and values, or a list of {name, value}.' },
        timestamp: { type: ['string', 'integer', 'null'] },
        partition: count,
      },
    }),
  }),
  CloudEvent: {
    type: 'object',
    required: ['specversion', 'id', 'source', 'type'],
    properties: {
      specversion: { const: '1.0' },
      id: text,
      source: text,
      type: text,
      subject: text,
      time,
      datacontenttype: text,
    },
  },
  ProducedOne: {
    anyOf: [object({ partition: count, offset: whole, timestamp: time }), object({ fault: ref('Problem') })],
  },
  Produced: object({ records: list(ref('ProducedOne')) }),
  Group: object({
    group: text,
    state: text,
    members: list(
      object({ id: text, client: text, host: text, held: list(object({ topic: text, partition: count })) }),
    ),
    lag: count,
    lagSeconds: or(number),
    positions: list(
      object({ topic: text, partition: count, offset: count, end: count, lag: count, lagSeconds: or(number) }),
    ),
  }),
  Relation: object(
    {
      name: text,
      kind: { enum: ['stream', 'table', 'view', 'plain-view'] },
      columns: list(object({ name: text, type: {}, nullable: truth })),
      key: or(list(text)),
      topic: text,
      sql: or(text),
      status: { enum: ['running', 'paused', 'failed', 'restarting', 'restoring', 'idle'] },
      error: or(object({ code: text, message: text })),
      restarts: object({
        attempts: count,
        lastFault: object({ code: text, message: text }),
        lastFaultAt: time,
        nextAt: or(time),
      }),
      stats: object({ rowsIn: count, rowsOut: count, late: count, invalid: count, stateBytes: count }),
      watermark: or(text),
    },
    ['restarts'],
  ),
  Graph: object({
    nodes: list(object({ id: text, kind: text, label: text })),
    edges: list(object({ from: text, to: text })),
    heldBackBy: or(text),
  }),
  Diagnosis: object({
    code: text,
    sure: { enum: ['yes', 'likely'] },
    node: or(text),
    says: text,
    evidence: list(text),
    remedy: text,
  }),
  Change: object({ op: { enum: ['+', '-', 'progress'] }, at: text }),
  Alert: object({
    name: text,
    sql: text,
    destinations: list(text),
    fired: count,
    suppressed: count,
    deliveryFailures: count,
    status: { enum: ['running', 'paused', 'failed'] },
  }),
  FiredAlert: object({
    id: text,
    alert: text,
    key: text,
    row: { type: 'object' },
    message: text,
    firedAt: time,
    origin: list(text),
    deliveries: list(
      object({
        destination: text,
        status: { enum: ['pending', 'delivered', 'dead'] },
        attempts: count,
        error: or(text),
      }),
    ),
  }),
  Savepoint: object({
    name: text,
    view: text,
    at: text,
    stateBytes: count,
    rowBytes: count,
    operators: list(object({ kind: text, label: text, rows: or(count) })),
    positions: list(object({ topic: text, partition: count, offset: count })),
  }),
  SavepointWish: object({ view: text }),
  Query: {
    type: 'object',
    required: ['sql'],
    additionalProperties: false,
    properties: { sql: text, params: { type: 'array' } },
  },
  QueryAnswer: object(
    { command: text, columns: list(object({ name: text, type: text })), rows: list(list({})), notices: list(text) },
    ['notices'],
  ),
  Overview: object({
    version: text,
    uptimeMs: count,
    topics: count,
    partitions: count,
    views: count,
    alerts: count,
    groups: count,
    recordsInPerSecond: number,
    bytesInPerSecond: number,
    recordsOutPerSecond: number,
    quarantined: count,
    late: count,
    rssBytes: count,
    diskBytes: count,
    diskFreeBytes: count,
  }),
  Readiness: object({ ready: truth, parts: list(object({ name: text, ready: truth, reason: or(text) })) }),
}

const names = [
  'Problem',
  'TopicSummary',
  'TopicDetail',
  'TopicChange',
  'User',
  'UserChange',
  'AccessKey',
  'NewAccessKey',
  'AccessKeySecret',
  'TopicReader',
  'Gateway',
  'MqttSession',
  'MqttSessionDetail',
  'MqttSessionPage',
  'Connector',
  'NewConnector',
  'ConnectorChange',
  'Record',
  'RecordPage',
  'Records',
  'CloudEvent',
  'ProducedOne',
  'Produced',
  'Group',
  'Relation',
  'Graph',
  'Diagnosis',
  'Change',
  'Alert',
  'FiredAlert',
  'Savepoint',
  'SavepointWish',
  'Query',
  'QueryAnswer',
  'Overview',
  'Readiness',
] as const
/** References to the components, by name. */
export const schemas = Object.fromEntries(names.map((name) => [name, ref(name)])) as Readonly<
  Record<(typeof names)[number], JsonSchema>
>
export { list as listOf }
