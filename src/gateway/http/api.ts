/**
 * The JSON of the HTTP interface, shared with the console. Paths and meaning:
 *
 * GET    /v1/topics                          TopicSummary[]           ?internal=true shows `_millrace_…` and `__…`
 * GET    /v1/topics/{t}                      TopicDetail
 * PUT    /v1/topics/{t}                      TopicChange → TopicDetail (201 created, 200 changed)
 * PATCH  /v1/topics/{t}                      TopicChange → TopicDetail
 * DELETE /v1/topics/{t}                      204
 * POST   /v1/topics/{t}/records              see conventions: bodies, ?key=, Millrace-Key, Idempotency-Key
 * GET    /v1/topics/{t}/records              ?partition ?from=earliest|latest|OFFSET|TIME|P:OFFSET,P:OFFSET… ?limit ?where → RecordPage;
 *                                            NDJSON; SSE tail (from latest unless told otherwise; takes partition and where too; ?lastEventId).
 *                                            &until=P:OFFSET,… stops before these; &bytes=true gives payloads as base64, byte for byte.
 *                                            Records of several partitions come merged by time.
 *                                            An offset before the start begins at the start. A page with `where` looks at records
 *                                            for about 250 ms, then answers with what it found: go on from `next` until `atEnd`
 * GET    /v1/views  /v1/views/{v}            RelationInfo (query/engine.ts)
 * DELETE /v1/views/{v}                       204
 * GET    /v1/views/{v}/rows                  ?key= (JSON array) ?limit → QueryAnswer
 * GET    /v1/views/{v}/changes               SSE of Change: the rows there are, a progress mark, then changes
 * GET    /v1/views/{v}/doctor                Diagnosis[]
 * GET    /v1/views/{v}/graph                 Graph
 * GET    /v1/savepoints                      SavepointInfo[]
 * PUT|DELETE /v1/savepoints/{s}              {view} → SavepointInfo
 * GET    /v1/groups  /v1/groups/{g}          GroupSummary
 * GET    /v1/alerts                          AlertInfo[]
 * GET|DELETE /v1/alerts/{a}                  AlertInfo
 * GET    /v1/alerts/fired                    ?alert ?limit → FiredAlert[], newest first; SSE: what fires from now on
 * GET    /v1/users                           UserInfo[]
 * GET|PUT|PATCH|DELETE /v1/users/{u}         {password, super} → UserInfo
 * GET|POST /v1/access-keys                   {user, id, secret} → NewAccessKeyInfo (201: the secret is in this answer only); AccessKeyInfo[]
 * GET|DELETE /v1/access-keys/{k}             AccessKeyInfo
 * GET    /v1/topics/{t}/readers              TopicReader[]
 * GET    /v1/gateways                        GatewayInfo[]
 * GET    /v1/gateways/{g}/doctor             Diagnosis[]
 * GET    /v1/mqtt-sessions                   MqttSessionPage          ?limit ?after ?connected
 * GET|DELETE /v1/mqtt-sessions/{client}      MqttSessionDetail; 204
 * GET    /v1/connectors                      ConnectorJson[]
 * GET    /v1/connectors/{c}/doctor           Diagnosis[]
 * GET|PUT|PATCH|DELETE /v1/connectors/{c}    {kind, direction, settings}; {settings, paused} → ConnectorJson
 * POST   /v1/sql                             {sql, params} → QueryAnswer; NDJSON; SSE for SUBSCRIBE
 * GET    /v1/overview                        Overview; SSE: one a second
 * GET    /metrics /health/live /health/ready /openapi.json /
 *
 * A fault is application/problem+json: Problem.
 *
 * SSE: the event's name says what data holds: `record` RecordJson, `change` Change, `alert` FiredAlert, `overview` Overview,
 * `columns` QueryAnswer['columns'] (opens SUBSCRIBE), `fault` Problem (the stream ends with it), `end` {} (it is complete). A
 * comment line at least every 15 s tells a quiet stream from a dead one.
 *
 * WebSocket, wherever GET gives SSE: a message is {event, id?, …data}; `position` only moves the id.
 */
export type { AlertInfo, FiredAlert } from '../../act/alerts.ts'
export type { MqttSession, MqttSessionDetail, MqttSessionPage } from '../../telemetry/mqtt-sessions.ts'
export type { TopicReader } from '../../telemetry/topic-reader.ts'
export type { Change, Diagnosis, Graph, RelationInfo, SavepointInfo } from '../../query/engine.ts'

export interface Problem {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: string
  readonly detail: string
  readonly hint: string
  readonly docs: string
  /** Where in the body or the SQL text, where there is such a place. */
  readonly field?: string
  readonly position?: { readonly line: number; readonly column: number }
  /** Of a fault in a SQL text: PostgreSQL's code, and the line with a caret under the place. */
  readonly sqlstate?: string
  readonly excerpt?: string
}
export interface TopicSummary {
  readonly name: string
  readonly id: string
  readonly partitions: number
  readonly records: number
  readonly bytes: number
  /** Over the last seconds. */
  readonly recordsPerSecond: number
  readonly bytesPerSecond: number
  readonly retentionMs: number
  readonly cleanupPolicy: string
  readonly hasSchema: boolean
}
export interface TopicDetail extends TopicSummary {
  readonly config: Readonly<Record<string, string>>
  readonly schema: unknown
  readonly onInvalid: 'reject' | 'quarantine' | 'null' | null
  readonly keyField: string | null
  readonly partitionDetails: readonly {
    readonly partition: number
    readonly start: number
    readonly stable: number
    readonly end: number
    readonly bytes: number
  }[]
}
export interface TopicChange {
  readonly partitions?: number
  readonly config?: Readonly<Record<string, string | null>>
  readonly schema?: unknown
  readonly onInvalid?: 'reject' | 'quarantine' | 'null'
  /** The field of the value that the key is taken from. */
  readonly keyField?: string | null
}
/** Bytes that are JSON come as `json`, text as `text`, else `base64`. */
export type Payload = { readonly json: unknown } | { readonly text: string } | { readonly base64: string } | null
export interface RecordJson {
  readonly partition: number
  readonly offset: number
  /** ISO 8601 with milliseconds. */
  readonly timestamp: string
  readonly key: Payload
  readonly value: Payload
  readonly headers: readonly { readonly name: string; readonly value: Payload }[]
}
/** SSE: `id: partition:offset,partition:offset…`, `event: record`, data RecordJson. */
export interface RecordPage {
  readonly records: readonly RecordJson[]
  /** Where to go on, per partition. */
  readonly next: readonly { readonly partition: number; readonly offset: number }[]
  /** How many records were looked at, for a filter that finds little. */
  readonly scanned: number
  readonly atEnd: boolean
}
export interface ProducedJson {
  readonly records: readonly (
    | { readonly partition: number; readonly offset: number; readonly timestamp: string }
    | { readonly fault: Problem }
  )[]
}
export interface GroupSummary {
  readonly group: string
  readonly state: string
  readonly members: readonly {
    readonly id: string
    readonly client: string
    readonly host: string
    readonly held: readonly { topic: string; partition: number }[]
  }[]
  /** Records between position and stable end, an estimate; seconds behind by record time, null when unknown. */
  readonly lag: number
  readonly lagSeconds: number | null
  readonly positions: readonly {
    readonly topic: string
    readonly partition: number
    readonly offset: number
    readonly end: number
    readonly lag: number
    readonly lagSeconds: number | null
  }[]
}
export interface QueryAnswer {
  readonly command: string
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly rows: readonly (readonly unknown[])[]
  /** What else is to be said, as of a view whose query was changed. */
  readonly notices?: readonly string[]
}
export interface Overview {
  readonly version: string
  readonly uptimeMs: number
  readonly topics: number
  readonly partitions: number
  readonly views: number
  readonly alerts: number
  readonly groups: number
  readonly recordsInPerSecond: number
  readonly bytesInPerSecond: number
  readonly recordsOutPerSecond: number
  readonly quarantined: number
  readonly late: number
  readonly rssBytes: number
  readonly diskBytes: number
  readonly diskFreeBytes: number
}

export interface GatewayInfo {
  readonly protocol: string
}
export interface UserInfo {
  readonly name: string
  /** Nothing is refused to it. */
  readonly super: boolean
  /** Of SCRAM, for which there is a credential; PLAIN and Basic go by the same. */
  readonly mechanisms: readonly string[]
}

/** Secrets are shown as `…`. */
export interface ConnectorJson {
  readonly name: string
  readonly kind: string
  readonly direction: 'source' | 'sink'
  readonly settings: Readonly<Record<string, string>>
  readonly status: 'running' | 'paused' | 'failed'
  /** The last one, also when it was got over. */
  readonly fault: Pick<Problem, 'code' | 'detail' | 'hint'> | null
  /** ISO 8601. */
  readonly faultAt: string | null
  readonly restartsAt: string | null
  readonly lag: number | null
  readonly records: number
  readonly bytes: number
  readonly refused: number
  readonly restarts: number
  /** ISO 8601, when something was last carried over or refused. */
  readonly carriedAt: string | null
}
export interface AccessKeyInfo {
  readonly id: string
  readonly user: string
  /** ISO 8601. */
  readonly created: string
}
export interface NewAccessKeyInfo extends AccessKeyInfo {
  readonly secret: string
}
