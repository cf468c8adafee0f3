/**
 * One table: a code, the facts it carries, a sentence, what to do about it, and its meaning in each protocol. The pages
 * of docs/errors are held equal to it by a test.
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
    hint: 'Send less at once, or raise the limit in the configuration.',
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
    hint: 'The bytes are kept. Records before the damage can be read; see `millrace log verify`.',
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
    hint: 'The reference of topic settings lists names and values.',
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
