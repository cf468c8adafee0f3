/**
 * One table: a code, the facts it carries, a sentence, what to do about it, and its meaning in each protocol. The pages
 * of docs/errors are held equal to it by a test. Long because it is one table: a code is looked up in one place.
 */
interface Meaning<F> {
  /** Kafka's error code; -1 = UNKNOWN_SERVER_ERROR. */
  readonly kafka: number
  readonly http: number
  /** PostgreSQL's SQLSTATE. */
  readonly sqlstate: string
  /** The same request may succeed later. */
  readonly retry: boolean
  readonly says: (facts: F) => string
  /** What the person who reads it can do. */
  readonly hint: string
}
const meaning = <F>(m: Meaning<F>): Meaning<F> => m

/** What every fault about a SQL text carries. Lines and columns count from 1, columns in characters. */
export interface SqlFacts {
  readonly message: string
  readonly line: number
  readonly column: number
  /** The marked line and a caret under the place, as PostgreSQL prints it. */
  readonly excerpt: string
  /** What could have stood there, where the parser knows. */
  readonly expected?: readonly string[]
  /** What to do about this very text; the table's hint otherwise. */
  readonly hint?: string
}
const sqlMeaning = (sqlstate: string, http: number, hint: string): Meaning<SqlFacts> => ({
  kafka: 42,
  http,
  sqlstate,
  retry: false,
  says: (f) => f.message,
  hint,
})

/** A value that an expression met. The same in every protocol: the request or event carries it. */
const valueMeaning = <F>(sqlstate: string, says: (facts: F) => string, hint: string): Meaning<F> => ({
  kafka: 87,
  http: 400,
  sqlstate,
  retry: false,
  says,
  hint,
})

export const faults = {
  'wire.malformed': meaning<{ what: string }>({
    kafka: 42,
    http: 400,
    sqlstate: '08P01',
    retry: false,
    says: (f) => `malformed message: ${f.what}`,
    hint: 'Check that the client speaks the protocol of this port.',
  }),
  'wire.too-large': meaning<{ what: string; bytes: number; bytesMax: number }>({
    kafka: 10,
    http: 413,
    sqlstate: '54000',
    retry: false,
    says: (f) => `${f.what} of ${f.bytes} bytes is over the limit of ${f.bytesMax}`,
    hint: 'Send less at once.',
  }),
  'store.locked': meaning<{ path: string }>({
    kafka: 56,
    http: 503,
    sqlstate: '55006',
    retry: false,
    says: (f) => `${f.path} is in use by another process`,
    hint: 'Stop the other Millrace, or give this one its own data folder with --data.',
  }),
  'store.failed': meaning<{ what: string; path: string }>({
    kafka: 56,
    http: 503,
    sqlstate: '58030',
    retry: true,
    says: (f) => `the disk failed at ${f.path}: ${f.what}`,
    hint: 'Check the disk. The log goes on in a new segment as soon as a write to it succeeds.',
  }),
  'store.full': meaning<{ path: string; freeBytes: number }>({
    kafka: 56,
    http: 507,
    sqlstate: '53100',
    retry: true,
    says: (f) => `intake is stopped: ${f.freeBytes} bytes are free on the disk of ${f.path}`,
    hint: 'Free space or shorten retention; intake resumes by itself.',
  }),
  'store.damaged': meaning<{ file: string; position: number; what: string }>({
    kafka: 56,
    http: 500,
    sqlstate: 'XX001',
    retry: false,
    says: (f) => `${f.file} is damaged at byte ${f.position}: ${f.what}`,
    hint: 'The bytes are kept. Records before the damage can be read; restore the file from a copy, or go on in a new topic.',
  }),
  'store.format-too-new': meaning<{ found: number; known: number }>({
    kafka: 56,
    http: 500,
    sqlstate: '0A000',
    retry: false,
    says: (f) => `the data folder has format ${f.found}; this program knows up to ${f.known}`,
    hint: 'Open it with the newer Millrace that wrote it.',
  }),
  'log.unknown-topic': meaning<{ topic: string }>({
    kafka: 3,
    http: 404,
    sqlstate: '42P01',
    retry: false,
    says: (f) => `topic ${f.topic} does not exist`,
    hint: 'Create it first, or check its name with `millrace topic list`.',
  }),
  'log.unknown-partition': meaning<{ topic: string; partition: number }>({
    kafka: 3,
    http: 404,
    sqlstate: '42704',
    retry: false,
    says: (f) => `topic ${f.topic} has no partition ${f.partition}`,
    hint: 'Partitions are numbered from 0; `millrace topic show` gives their count.',
  }),
  'log.topic-exists': meaning<{ topic: string }>({
    kafka: 36,
    http: 409,
    sqlstate: '42P07',
    retry: false,
    says: (f) => `topic ${f.topic} exists already`,
    hint: 'Use it as it is, or choose another name.',
  }),
  'log.invalid-topic': meaning<{ topic: string; why: string }>({
    kafka: 17,
    http: 400,
    sqlstate: '42602',
    retry: false,
    says: (f) => `${JSON.stringify(f.topic)} cannot be a topic name: ${f.why}`,
    hint: 'Use 1 to 249 letters, digits, dots, underscores and hyphens.',
  }),
  'log.invalid-partitions': meaning<{ partitions: number; why: string }>({
    kafka: 37,
    http: 400,
    sqlstate: '22023',
    retry: false,
    says: (f) => `${f.partitions} partitions: ${f.why}`,
    hint: 'Give a whole number from 1; partitions can be added, never removed.',
  }),
  'log.invalid-config': meaning<{ name: string; value: string; why: string }>({
    kafka: 40,
    http: 400,
    sqlstate: '22023',
    retry: false,
    says: (f) => `${f.name}=${f.value}: ${f.why}`,
    hint: 'Names and values are those that Apache Kafka has for topics; `kafka-configs --describe --all` lists them.',
  }),
  'log.offset-out-of-range': meaning<{ offset: number; first: number; next: number }>({
    kafka: 1,
    http: 416,
    sqlstate: '22003',
    retry: false,
    says: (f) => `offset ${f.offset} is outside ${f.first}..${f.next}`,
    hint: 'Start from earliest or latest; retention may have removed what you ask for.',
  }),
  'log.corrupt-batch': meaning<{ what: string }>({
    kafka: 2,
    http: 400,
    sqlstate: '22000',
    retry: false,
    says: (f) => `the record batch is corrupt: ${f.what}`,
    hint: 'Send it again; if it persists, the network or the client is at fault.',
  }),
  'log.invalid-batch': meaning<{ what: string }>({
    kafka: 87,
    http: 400,
    sqlstate: '22000',
    retry: false,
    says: (f) => `the record batch is not valid: ${f.what}`,
    hint: 'Use a client that writes record batches of version 2 (Kafka 0.11 or later).',
  }),
  'log.unsupported-compression': meaning<{ codec: string }>({
    kafka: 76,
    http: 415,
    sqlstate: '0A000',
    retry: false,
    says: (f) => `compression ${f.codec} is not known`,
    hint: 'Use none, gzip, snappy, lz4 or zstd.',
  }),
  'log.batch-too-large': meaning<{ bytes: number; bytesMax: number }>({
    kafka: 10,
    http: 413,
    sqlstate: '54000',
    retry: false,
    says: (f) => `a record batch of ${f.bytes} bytes is over max.message.bytes (${f.bytesMax})`,
    hint: 'Send smaller batches, or raise max.message.bytes of the topic.',
  }),
  'log.out-of-order-sequence': meaning<{ expected: number; found: number }>({
    kafka: 45,
    http: 409,
    sqlstate: '40001',
    retry: false,
    says: (f) => `the producer's sequence is ${f.found}, expected ${f.expected}`,
    hint: 'A batch before this one is missing; the producer must start again with a new producer id.',
  }),
  'log.duplicate-sequence': meaning<{ sequence: number }>({
    kafka: 46,
    http: 409,
    sqlstate: '40001',
    retry: false,
    says: (f) => `sequence ${f.sequence} was stored before`,
    hint: 'Nothing to do: the records are in the log.',
  }),
  'log.producer-fenced': meaning<{ producerId: number; epoch: number }>({
    kafka: 90,
    http: 409,
    sqlstate: '40001',
    retry: false,
    says: (f) => `producer ${f.producerId} with epoch ${f.epoch} was replaced by a newer one`,
    hint: 'Two producers share a transactional id; stop the older one.',
  }),
  'log.unknown-group': meaning<{ group: string }>({
    kafka: 69,
    http: 404,
    sqlstate: '42704',
    retry: false,
    says: (f) => `group ${f.group} does not exist`,
    hint: 'List the groups with `millrace group list`.',
  }),
  'log.group-not-empty': meaning<{ group: string }>({
    kafka: 68,
    http: 409,
    sqlstate: '55006',
    retry: true,
    says: (f) => `group ${f.group} has active members`,
    hint: 'Stop its consumers first.',
  }),
  'log.invalid-timestamp': meaning<{ timeMs: number; why: string }>({
    kafka: 32,
    http: 400,
    sqlstate: '22008',
    retry: false,
    says: (f) => `the record time ${f.timeMs} is refused: ${f.why}`,
    hint: 'Check the clock of the sender, or change message.timestamp.before.max.ms and message.timestamp.after.max.ms.',
  }),
  'log.invalid-producer-epoch': meaning<{ producerId: number; epoch: number; current: number }>({
    kafka: 47,
    http: 409,
    sqlstate: '40001',
    retry: false,
    says: (f) => `producer ${f.producerId} wrote with epoch ${f.epoch}, the current one is ${f.current}`,
    hint: 'A newer instance of this producer has taken over; stop the older one.',
  }),
  'log.invalid-transaction': meaning<{ what: string }>({
    kafka: 48,
    http: 409,
    sqlstate: '25000',
    retry: false,
    says: (f) => `not possible in this state of the transaction: ${f.what}`,
    hint: 'Begin a transaction first, and end it once.',
  }),
  'log.fenced-leader-epoch': meaning<{ found: number; current: number }>({
    kafka: 74,
    http: 409,
    sqlstate: '40001',
    retry: true,
    says: (f) => `leader epoch ${f.found} is older than ${f.current}`,
    hint: 'Fetch the metadata again.',
  }),
  'log.unknown-leader-epoch': meaning<{ found: number; current: number }>({
    kafka: 75,
    http: 409,
    sqlstate: '40001',
    retry: true,
    says: (f) => `leader epoch ${f.found} is newer than ${f.current}`,
    hint: 'Fetch the metadata again; the client may have talked to another instance before.',
  }),
  'log.invalid-group': meaning<{ group: string; why: string }>({
    kafka: 24,
    http: 400,
    sqlstate: '42602',
    retry: false,
    says: (f) => `${JSON.stringify(f.group)} cannot be used as a group: ${f.why}`,
    hint: 'Choose another group id.',
  }),
  'log.unknown-member': meaning<{ group: string; member: string }>({
    kafka: 25,
    http: 404,
    sqlstate: '42704',
    retry: false,
    says: (f) => `group ${f.group} has no member ${JSON.stringify(f.member)}`,
    hint: 'The member left, or was removed because it was silent for its session timeout; it must join again.',
  }),
  'log.illegal-generation': meaning<{ group: string; found: number; current: number }>({
    kafka: 22,
    http: 409,
    sqlstate: '40001',
    retry: false,
    says: (f) => `generation ${f.found} of group ${f.group} is not the current one, ${f.current}`,
    hint: 'The group has been rebalanced; join again.',
  }),
  'log.rebalance-in-progress': meaning<{ group: string }>({
    kafka: 27,
    http: 409,
    sqlstate: '40001',
    retry: true,
    says: (f) => `group ${f.group} is being rebalanced`,
    hint: 'Join again.',
  }),
  'log.inconsistent-protocol': meaning<{ group: string; why: string }>({
    kafka: 23,
    http: 409,
    sqlstate: '22023',
    retry: false,
    says: (f) => `the member does not fit group ${f.group}: ${f.why}`,
    hint: 'All members of a group need the same protocol type and one assignment strategy in common.',
  }),
  'log.member-id-required': meaning<{ member: string }>({
    kafka: 79,
    http: 409,
    sqlstate: '40001',
    retry: true,
    says: (f) => `join again with the member id ${f.member}`,
    hint: 'Nothing to do: clients do this by themselves.',
  }),
  'log.fenced-instance': meaning<{ group: string; instance: string }>({
    kafka: 82,
    http: 409,
    sqlstate: '40001',
    retry: false,
    says: (f) => `another member of group ${f.group} has taken over the instance id ${f.instance}`,
    hint: 'Give each consumer of a group its own group.instance.id.',
  }),
  'log.invalid-session-timeout': meaning<{ timeoutMs: number; min: number; max: number }>({
    kafka: 26,
    http: 400,
    sqlstate: '22023',
    retry: false,
    says: (f) => `a session timeout of ${f.timeoutMs} ms is outside ${f.min}..${f.max}`,
    hint: 'Set session.timeout.ms within the bounds.',
  }),
  'log.group-full': meaning<{ group: string; membersMax: number }>({
    kafka: 81,
    http: 409,
    sqlstate: '53300',
    retry: false,
    says: (f) => `group ${f.group} has its ${f.membersMax} members already`,
    hint: 'More members than partitions do nothing; use fewer.',
  }),
  'log.group-uses-topic': meaning<{ group: string; topic: string }>({
    kafka: 86,
    http: 409,
    sqlstate: '55006',
    retry: true,
    says: (f) => `group ${f.group} is subscribed to ${f.topic}`,
    hint: 'Stop its consumers of that topic first.',
  }),
  'log.offset-metadata-too-large': meaning<{ bytes: number; bytesMax: number }>({
    kafka: 12,
    http: 413,
    sqlstate: '54000',
    retry: false,
    says: (f) => `offset metadata of ${f.bytes} bytes is over the limit of ${f.bytesMax}`,
    hint: 'Keep less beside a committed offset.',
  }),
  'log.unstable-offset': meaning<{ group: string }>({
    kafka: 88,
    http: 409,
    sqlstate: '40001',
    retry: true,
    says: (f) => `a transaction over offsets of group ${f.group} is still open`,
    hint: 'Ask again in a moment.',
  }),
  'log.closed': meaning<{ what: string }>({
    kafka: 41,
    http: 503,
    sqlstate: '57P01',
    retry: true,
    says: (f) => `${f.what} is closed`,
    hint: 'Millrace is stopping; try again when it is back.',
  }),
  'log.claim-lost': meaning<{ what: string }>({
    kafka: 22,
    http: 409,
    sqlstate: '40001',
    retry: true,
    says: (f) => `the claim on ${f.what} was lost to another member`,
    hint: 'Join again.',
  }),
  'config.invalid': meaning<{ setting: string; value: string; why: string }>({
    kafka: 40,
    http: 400,
    sqlstate: '22023',
    retry: false,
    says: (f) => `${f.setting} = ${f.value}: ${f.why}`,
    hint: '`millrace config` prints every setting and where its value comes from.',
  }),
  'config.not-loopback': meaning<{ protocol: string; host: string }>({
    kafka: 40,
    http: 400,
    sqlstate: '28000',
    retry: false,
    says: (f) => `${f.protocol} would listen on ${f.host}, which other machines can reach, without authentication`,
    hint: 'Listen on 127.0.0.1, ::1 or localhost.',
  }),
  'config.cannot-listen': meaning<{ protocol: string; at: string; why: string }>({
    kafka: 40,
    http: 400,
    sqlstate: '58000',
    retry: false,
    says: (f) => `${f.protocol} cannot listen on ${f.at}: ${f.why}`,
    hint: 'Stop the other program (another Millrace?), or choose another port: --listen http=127.0.0.1:8081 --listen kafka=127.0.0.1:9093.',
  }),
  'cluster.unavailable': meaning<{ what: string; why: string }>({
    kafka: 7,
    http: 503,
    sqlstate: '08006',
    retry: true,
    says: (f) => `the Kafka cluster did not do it: ${f.what}: ${f.why}`,
    hint: 'Check that the brokers run and can be reached from here; Millrace goes on by itself when they answer.',
  }),
  'cluster.authentication-failed': meaning<{ user: string; mechanism: string; why: string }>({
    kafka: 58,
    http: 502,
    sqlstate: '28000',
    retry: false,
    says: (f) => `the Kafka cluster does not let ${f.user} in by ${f.mechanism}: ${f.why}`,
    hint: 'Check `log.sasl` and MILLRACE_LOG_PASSWORD against the credentials of the cluster.',
  }),
  'cluster.not-authorized': meaning<{ what: string }>({
    kafka: 31,
    http: 502,
    sqlstate: '42501',
    retry: false,
    says: (f) => `the Kafka cluster does not allow it: ${f.what}`,
    hint: 'docs/log.md lists the rights that Millrace needs on a cluster.',
  }),
  'cluster.too-old': meaning<{ what: string }>({
    kafka: 35,
    http: 502,
    sqlstate: '0A000',
    retry: false,
    says: (f) => `the Kafka cluster is too old: ${f.what}`,
    hint: 'Use Apache Kafka 4.0 or later, with the feature transaction.version at 2 or higher.',
  }),
  'cluster.refused': meaning<{ what: string; error: number; why: string }>({
    kafka: 42,
    http: 502,
    sqlstate: '58000',
    retry: false,
    says: (f) => `the Kafka cluster refuses it: ${f.what}: error ${f.error}${f.why === '' ? '' : `: ${f.why}`}`,
    hint: "Kafka's list of error codes says what the number means; the log of its broker says more.",
  }),
  'query.too-large': meaning<{ rows: number }>({
    kafka: 42,
    http: 413,
    sqlstate: '53200',
    retry: false,
    says: (f) => `the query holds more than ${f.rows} rows in memory`,
    hint: 'Filter more, aggregate, or make it a materialized view and read that.',
  }),
  'query.slow-subscriber': meaning<{ waiting: number }>({
    kafka: 42,
    http: 429,
    sqlstate: '53400',
    retry: true,
    says: (f) => `the subscriber is ${f.waiting} changes behind and was cut off`,
    hint: 'Subscribe again: it begins with a snapshot. Read faster, or filter more.',
  }),
  'query.cancelled': meaning<Record<string, never>>({
    kafka: 7,
    http: 499,
    sqlstate: '57014',
    retry: false,
    says: () => 'the query was cancelled',
    hint: 'Nothing to do: someone asked for it.',
  }),
  'sql.syntax': sqlMeaning('42601', 400, 'Read what was expected at the marked place; docs/sql.md has the grammar.'),
  'sql.unsupported': sqlMeaning('0A000', 501, 'docs/sql.md lists what works today.'),
  'sql.too-complex': sqlMeaning('54001', 400, 'Split the statement, or move parts of it into views.'),
  'sql.unknown-relation': sqlMeaning('42P01', 404, 'SHOW STREAMS, SHOW TABLES and SHOW VIEWS list the names.'),
  'sql.unknown-column': sqlMeaning('42703', 400, 'DESCRIBE lists the columns of a stream, table or view.'),
  'sql.ambiguous-name': sqlMeaning('42702', 400, 'Qualify the name with its table, or quote it to match exactly.'),
  'sql.unknown-function': sqlMeaning('42883', 400, 'Check the name and the argument types; add explicit casts.'),
  'sql.ambiguous-function': sqlMeaning('42725', 400, 'Add explicit casts to the arguments.'),
  'sql.unknown-type': sqlMeaning('42704', 400, 'docs/sql.md lists the types.'),
  'sql.unknown-parameter': sqlMeaning('42P02', 400, 'Give a value for each $n of the statement.'),
  'sql.type-mismatch': sqlMeaning('42804', 400, 'Cast one side explicitly: CAST(x AS type) or x::type.'),
  'sql.cannot-cast': sqlMeaning('42846', 400, 'There is no cast between these types.'),
  'sql.grouping': sqlMeaning('42803', 400, 'Add the column to GROUP BY, or put it inside an aggregate.'),
  'sql.windowing': sqlMeaning('42P20', 400, 'docs/sql.md says where windows and OVER may stand.'),
  'sql.duplicate-column': sqlMeaning('42701', 400, 'Give each column its own name with AS.'),
  'sql.duplicate-alias': sqlMeaning('42712', 400, 'Give each table of FROM its own alias.'),
  'sql.relation-exists': sqlMeaning('42P07', 409, 'Choose another name, drop the old one, or add IF NOT EXISTS.'),
  'sql.wrong-kind': sqlMeaning('42809', 400, 'Use the statement for that kind of object.'),
  'sql.not-null': sqlMeaning('23502', 400, 'Give the column a value, or declare it without NOT NULL.'),
  'sql.dependent': sqlMeaning('2BP01', 409, 'Drop what depends on it first.'),
  'sql.invalid-value': sqlMeaning('22023', 400, 'docs/sql.md lists the settings and their values.'),
  'sql.invalid-text': sqlMeaning('22P02', 400, 'Write the value in the form of its type.'),
  'sql.invalid-time': sqlMeaning(
    '22007',
    400,
    'Times are ISO 8601 (2026-01-31T12:00:00Z); intervals like 1 day 2 hours.',
  ),
  'sql.division-by-zero': sqlMeaning('22012', 400, 'Guard it: a / NULLIF(b, 0) gives NULL instead.'),
  'sql.out-of-range': sqlMeaning('22003', 400, 'Use a wider type, or a value within the range.'),
  'sql.invalid-definition': sqlMeaning('42P16', 400, 'Correct the definition at the marked place.'),
  'sql.unbounded-state': sqlMeaning(
    '54000',
    400,
    'Bound the state by a window, a temporal join (FOR SYSTEM_TIME AS OF) or a key, or accept it: WITH (allow_unbounded_state = true).',
  ),
  'json.malformed': meaning<{ what: string; position: number | null }>({
    kafka: 87,
    http: 400,
    sqlstate: '22032',
    retry: false,
    says: (f) => `this is not JSON${f.position === null ? '' : ` at byte ${f.position}`}: ${f.what}`,
    hint: 'Send UTF-8 JSON (RFC 8259): quoted names, no trailing commas, no comments.',
  }),
  'schema.invalid': meaning<{ topic: string; field: string; why: string }>({
    kafka: 87,
    http: 422,
    sqlstate: '23514',
    retry: false,
    says: (f) => `the event does not fit the schema of ${f.topic}: ${f.field === '' ? 'the value' : f.field} ${f.why}`,
    hint: 'Correct the field, or change what the topic does with such events: its `onInvalid`.',
  }),
  'schema.key-mismatch': meaning<{ topic: string; field: string; key: string; value: string }>({
    kafka: 87,
    http: 422,
    sqlstate: '23514',
    retry: false,
    says: (f) => `the record key is ${f.key}, but ${f.field}, the key field of ${f.topic}, says ${f.value}`,
    hint: 'Leave the key out (it is then taken from the field), or make both the same.',
  }),
  'schema.invalid-schema': meaning<{ field: string; why: string }>({
    kafka: 40,
    http: 400,
    sqlstate: '22023',
    retry: false,
    says: (f) => `the schema cannot be used: ${f.field === '' ? '' : `${f.field}: `}${f.why}`,
    hint: 'Give a JSON Schema of draft 2020-12, 2019-09 or 07 that refers to nothing outside itself.',
  }),
  'log.topic-in-use': meaning<{ topic: string; by: string }>({
    kafka: 44,
    http: 409,
    sqlstate: '2BP01',
    retry: false,
    says: (f) => `topic ${f.topic} is read by ${f.by}`,
    hint: 'Drop what reads it first.',
  }),
  'http.not-found': meaning<{ path: string }>({
    kafka: 42,
    http: 404,
    sqlstate: '42704',
    retry: false,
    says: (f) => `there is nothing at ${f.path}`,
    hint: '/openapi.json lists every path.',
  }),
  'http.no-such': meaning<{ what: string; name: string }>({
    kafka: 42,
    http: 404,
    sqlstate: '42704',
    retry: false,
    says: (f) => `${f.what} ${f.name} does not exist`,
    hint: 'Check the name; /v1/views, /v1/groups and /v1/alerts list what there is.',
  }),
  'http.method-not-allowed': meaning<{ method: string; path: string; allow: string }>({
    kafka: 42,
    http: 405,
    sqlstate: '0A000',
    retry: false,
    says: (f) => `${f.path} does not take ${f.method}, only ${f.allow}`,
    hint: 'Use one of the methods in the Allow header.',
  }),
  'http.not-acceptable': meaning<{ accept: string; offers: string }>({
    kafka: 42,
    http: 406,
    sqlstate: '0A000',
    retry: false,
    says: (f) => `this answers with ${f.offers}, not with ${f.accept}`,
    hint: 'Change the Accept header, or leave it out.',
  }),
  'http.unsupported-body': meaning<{ what: string; takes: string }>({
    kafka: 42,
    http: 415,
    sqlstate: '0A000',
    retry: false,
    says: (f) => `${f.what} cannot be read here; it takes ${f.takes}`,
    hint: 'Set Content-Type and Content-Encoding to what the body is.',
  }),
  'http.bad-request': meaning<{ what: string }>({
    kafka: 42,
    http: 400,
    sqlstate: '08P01',
    retry: false,
    says: (f) => `not a request that can be read: ${f.what}`,
    hint: 'Send HTTP/1.1 with one Host header and a path that begins with a slash.',
  }),
  'http.invalid-parameter': meaning<{ name: string; value: string; why: string }>({
    kafka: 42,
    http: 400,
    sqlstate: '22023',
    retry: false,
    says: (f) => `${f.name} = ${f.value}: ${f.why}`,
    hint: 'docs/http.md lists every parameter and header with its values.',
  }),
  'http.invalid-body': meaning<{ field: string; why: string }>({
    kafka: 42,
    http: 400,
    sqlstate: '22023',
    retry: false,
    says: (f) => `${f.field === '' ? 'the body' : f.field} ${f.why}`,
    hint: 'docs/http.md shows the form of every body.',
  }),
  'http.invalid-event': meaning<{ field: string; why: string }>({
    kafka: 87,
    http: 400,
    sqlstate: '22023',
    retry: false,
    says: (f) => `this is not a CloudEvent: ${f.field} ${f.why}`,
    hint: 'A CloudEvent 1.0 has specversion, id, source and type, and attribute names of lower-case letters and digits.',
  }),
  'http.incomplete-body': meaning<Record<string, never>>({
    kafka: 42,
    http: 400,
    sqlstate: '08P01',
    retry: true,
    says: () => 'the body ended before it was complete',
    hint: 'Send it again. What was answered before is stored.',
  }),
  'http.timeout': meaning<{ what: string; ms: number }>({
    kafka: 7,
    http: 408,
    sqlstate: '57014',
    retry: true,
    says: (f) => `${f.what} did not come within ${f.ms} ms`,
    hint: 'Send faster, or less at once.',
  }),
  'http.host-refused': meaning<{ host: string }>({
    kafka: 42,
    http: 421,
    sqlstate: '28000',
    retry: false,
    says: (f) => `this server does not answer for the host ${f.host}`,
    hint: 'Use the address it listens on, or name the host in `httpHosts`.',
  }),
  'http.origin-refused': meaning<{ origin: string }>({
    kafka: 42,
    http: 403,
    sqlstate: '28000',
    retry: false,
    says: (f) => `pages of ${f.origin} may not call this server`,
    hint: 'Call it from its own pages or from a program, or name the origin in `httpOrigins`.',
  }),
  'http.too-many': meaning<{ what: string; max: number }>({
    kafka: 89,
    http: 429,
    sqlstate: '53400',
    retry: true,
    says: (f) => `too many ${f.what}: the limit is ${f.max}`,
    hint: 'Wait as long as Retry-After says, then try again.',
  }),
  'http.over-limit': meaning<{ what: string; max: number }>({
    kafka: 42,
    http: 413,
    sqlstate: '54000',
    retry: false,
    says: (f) => `more ${f.what} than ${f.max}`,
    hint: 'Split it into several requests; docs/http.md has the limits.',
  }),
  'http.idempotency-conflict': meaning<{ key: string }>({
    kafka: 42,
    http: 422,
    sqlstate: '23505',
    retry: false,
    says: (f) => `the Idempotency-Key ${f.key} was used for another request within 24 hours`,
    hint: 'Use a new key for a new request, and the same body for a retry.',
  }),
  'value.out-of-range': valueMeaning<{ type: string; value: string }>(
    '22003',
    (f) => `value ${f.value} is out of range for type ${f.type}`,
    'Use a wider type (bigint, numeric), or filter such values out first.',
  ),
  'value.division-by-zero': valueMeaning<Record<string, never>>(
    '22012',
    () => 'division by zero',
    'Guard it: a / NULLIF(b, 0) gives NULL instead.',
  ),
  'value.invalid-text': valueMeaning<{ type: string; text: string }>(
    '22P02',
    (f) => `invalid input for type ${f.type}: ${JSON.stringify(f.text)}`,
    'Write the value in the form of its type.',
  ),
  'value.invalid-time': valueMeaning<{ type: string; text: string }>(
    '22007',
    (f) => `invalid input for type ${f.type}: ${JSON.stringify(f.text)}`,
    'Times are ISO 8601: 2026-01-31T12:00:00Z.',
  ),
  'value.too-long': valueMeaning<{ type: string; length: number }>(
    '22001',
    (f) => `a text of ${f.length} characters is too long for type ${f.type}`,
    'Use text, or a longer varchar.',
  ),
  'value.invalid-argument': valueMeaning<{ what: string }>(
    '22023',
    (f) => f.what,
    'The description of the function says which arguments it takes.',
  ),
  'flow.unknown-view': meaning<{ view: string }>({
    kafka: 3,
    http: 404,
    sqlstate: '42P01',
    retry: false,
    says: (f) => `view ${f.view} does not run here`,
    hint: 'SHOW VIEWS lists the views and their status.',
  }),
  'flow.view-exists': meaning<{ view: string }>({
    kafka: 36,
    http: 409,
    sqlstate: '42P07',
    retry: false,
    says: (f) => `view ${f.view} runs already`,
    hint: 'Drop it first, or choose another name.',
  }),
  'flow.unsupported': meaning<{ what: string }>({
    kafka: 35,
    http: 501,
    sqlstate: '0A000',
    retry: false,
    says: (f) => f.what,
    hint: 'docs/flow.md lists what each operator takes.',
  }),
  'flow.step-failed': meaning<{ view: string; at: string; what: string }>({
    kafka: -1,
    http: 500,
    sqlstate: '22000',
    retry: false,
    says: (f) => `view ${f.view} stopped at ${f.at}: ${f.what}`,
    hint: 'Repair the cause and resume the view, or let it pass such events over with on_error = quarantine or skip.',
  }),
  'flow.function-failed': meaning<{ what: string }>({
    kafka: -1,
    http: 500,
    sqlstate: '38000',
    retry: false,
    says: (f) => `the function threw: ${f.what}`,
    hint: 'Repair the function; what happens to such events is the onError of its view.',
  }),
  'flow.state-mismatch': meaning<{ view: string; what: string }>({
    kafka: -1,
    http: 409,
    sqlstate: '55000',
    retry: false,
    says: (f) => `the saved state of view ${f.view} is not of this plan: ${f.what}`,
    hint: 'Drop the view and create it again; it is rebuilt from its input.',
  }),
  'flow.position-lost': meaning<{
    view: string
    topic: string
    partition: number
    position: number
    first: number
    next: number
  }>({
    kafka: 1,
    http: 409,
    sqlstate: '55000',
    retry: false,
    says: (f) =>
      `view ${f.view} stands at offset ${f.position} of ${f.topic} partition ${f.partition}, which holds ${f.first}..${f.next}`,
    hint: 'The input was replaced, or retention removed what the view had not read. Drop the view and create it again.',
  }),
  'project.has-reader': meaning<{ changed: string; reader: string }>({
    kafka: -1,
    http: 409,
    sqlstate: '2BP01',
    retry: false,
    says: (f) => `${f.changed} has changed in the project, but ${f.reader}, which is not of the project, reads it`,
    hint: 'Drop the reader first, or take it into the project.',
  }),
  'project.not-found': meaning<{ dir: string }>({
    kafka: -1,
    http: 404,
    sqlstate: '58P01',
    retry: false,
    says: (f) => `there is no project folder ${f.dir}`,
    hint: 'Name a folder with .sql or .ts files, or start without one.',
  }),
  'act.delivery-failed': meaning<{ alert: string; destination: string; attempts: number; why: string }>({
    kafka: -1,
    http: 502,
    sqlstate: '08006',
    retry: true,
    says: (f) => `alert ${f.alert} did not reach ${f.destination} in ${f.attempts} attempts: ${f.why}`,
    hint: 'Mend the receiver; what was given up lies in the topic ALERT.dlq and can be sent again from there.',
  }),
  'act.address-refused': meaning<{ url: string; why: string }>({
    kafka: -1,
    http: 403,
    sqlstate: '42501',
    retry: false,
    says: (f) => `nothing is sent to ${f.url}: ${f.why}`,
    hint: 'Name the address range in `webhooksAllow`, if it is meant to be reached from here.',
  }),
  internal: meaning<{ what: string }>({
    kafka: -1,
    http: 500,
    sqlstate: 'XX000',
    retry: false,
    says: (f) => `internal error: ${f.what}`,
    hint: 'This is a fault of Millrace; the log on standard error says more.',
  }),
} as const

export type FaultCode = keyof typeof faults
export type Facts<C extends FaultCode> = Parameters<(typeof faults)[C]['says']>[0]

/** An error that a user can meet. Its meaning to each protocol comes from the table by its code. */
export class Fault<C extends FaultCode = FaultCode> extends Error {
  readonly code: C
  readonly facts: Facts<C>

  constructor(code: C, facts: Facts<C>, cause?: unknown) {
    super((faults[code].says as (f: Facts<C>) => string)(facts), cause === undefined ? undefined : { cause })
    this.name = 'Fault'
    this.code = code
    this.facts = facts
  }
  get retry(): boolean {
    return faults[this.code].retry
  }
  get hint(): string {
    return faults[this.code].hint
  }
}

/** What was thrown as a Fault: itself, or 'internal' with the original as cause. */
export function asFault(thrown: unknown): Fault {
  if (thrown instanceof Fault) return thrown
  return new Fault('internal', { what: thrown instanceof Error ? thrown.message : String(thrown) }, thrown)
}
