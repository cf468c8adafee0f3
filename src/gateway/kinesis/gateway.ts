/**
 * Requests into operations: the order of checks and the words are the service's. What is no request to the service at all is
 * answered in XML, as it does.
 */
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Logger } from '../../lib/logger.ts'
import { type InputOf, type OperationName, isOperation, operations, operations2020 } from '../../wire/kinesis/model.ts'
import { NotOfKind, type StructureShape, complaint, read } from '../../wire/kinesis/shape.ts'
import { encodeEvent } from '../../wire/kinesis/event-stream.ts'
import { signatureIn, signer } from './authentication.ts'
import { Call, type Handler, Live, type Service, type StreamNamed, streamNameOf } from './call.ts'
import { type Codec, cbor, json } from './codec.ts'
import { ServiceError, serviceError } from './errors.ts'
import { handlers } from './operations/index.ts'
import type { Pages } from '../../lib/pages.ts'

export interface Request {
  readonly method: string
  /** Path and query, as they came. */
  readonly target: string
  /** Names in lower case. Of HTTP/2 also `:authority`, which is `host` too. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Uint8Array
  /** Where it comes from, without a port. */
  readonly host: string
  /** The connection: of those that wait for room each has its turn. */
  readonly client: object
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal
}
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array | AsyncIterable<Uint8Array>
  /** Called when it is sent, or nobody wants it. */
  readonly done?: () => void
  /** For the metrics. */
  readonly operation: string
  /** '' = none. */
  readonly error: string
}

const serviceName = 'Kinesis_20131202'
const plainJson = 'application/json'
const exposed = 'x-amzn-RequestId,x-amzn-ErrorType,x-amz-request-id,x-amz-id-2,x-amzn-ErrorMessage,Date'
const idBytes = 72
const none = new Uint8Array(0)

export class Gateway {
  readonly #service: Service
  readonly #logger: Logger
  readonly #pages: Pages

  constructor(service: Service, logger: Logger, pages: Pages) {
    this.#service = service
    this.#logger = logger
    this.#pages = pages
  }
  async handle(request: Request): Promise<Answer> {
    const { method, headers } = request
    const { random } = this.#service.world
    const isPreflight = method === 'OPTIONS' && headers['origin'] !== undefined
    const common: Record<string, string> = { 'x-amzn-RequestId': random.uuid() }
    if (!isPreflight) common['x-amz-id-2'] = Buffer.from(random.bytes(idBytes)).toString('base64')
    try {
      const allowed = this.#pages.admit(headers, !this.#service.security.authorizer.enforced)
      if (allowed !== null) common['Access-Control-Allow-Origin'] = allowed
    } catch (error) {
      const answer = xml(403, 'AccessDeniedException', escaped((error as Error).message))
      return { ...answer, headers: common }
    }
    if (isPreflight) return preflight(headers, common)
    if (headers['origin'] !== undefined) common['Access-Control-Expose-Headers'] = exposed
    const answer = await this.#answer(request)
    return { ...answer, headers: { ...common, ...answer.headers } }
  }

  async #answer(request: Request): Promise<Answer> {
    const { method, headers, body } = request
    if (method !== 'POST') return unnamed()
    const mediaType = (headers['content-type'] ?? '').split(';')[0]!.trim()
    const [service = '', name = ''] = (headers['x-amz-target'] ?? '').split('.')
    const operation = service === serviceName && isOperation(name) ? name : null
    const codec = mediaType === json.mediaType ? json : cbor
    if (body.length === 0)
      return failed(codec, operation, operation === null ? 'UnknownOperationException' : 'SerializationException')
    if (mediaType !== json.mediaType && mediaType !== cbor.mediaType && mediaType !== plainJson)
      return service === '' || name === '' ? unnamed() : xml(404, 'UnknownOperationException')
    const value = valueOf(mediaType === plainJson ? json : codec, body)
    if (mediaType === plainJson) return deprecated(value === null || value instanceof Fault)
    if (value instanceof Fault)
      return failed(codec, operation, 'SerializationException', { text: { Message: value.message } })
    if (value === null) return failed(codec, operation, 'SerializationException')
    if (operation === null) return failed(codec, operation, 'UnknownOperationException')
    try {
      const signed = signatureIn(request)
      const { security, world } = this.#service
      const subject = signer(request, signed, { security, clock: world.clock, host: request.host })
      const input = this.#read(operation, value)
      const call = new Call({ name: operation, input, codec, service: this.#service, subject, request })
      return await this.#run(call)
    } catch (error) {
      return this.#failure(codec, operation, error)
    }
  }
  /** Throws ServiceError SerializationException, ValidationException. */
  #read<N extends OperationName>(name: N, value: object): InputOf<N> {
    const is2020 = this.#service.streams.settings.model === '2020'
    const shape: StructureShape = (is2020 ? operations2020[name] : undefined) ?? operations[name]
    let input: Record<string, unknown>
    try {
      input = read(shape, value)
    } catch (error) {
      if (error instanceof NotOfKind) throw new ServiceError('SerializationException', error.message)
      throw error
    }
    const wrong = complaint(shape, input, this.#circumstances(name, shape, input))
    if (wrong !== null) throw new ServiceError('ValidationException', wrong)
    return input as InputOf<N>
  }
  #circumstances(
    name: OperationName,
    { members }: StructureShape,
    input: Record<string, unknown>,
  ): { needed: ReadonlySet<string>; dataBytesMax: number } {
    const needed = new Set<string>()
    const isByName = 'StreamName' in members && 'StreamARN' in members && name !== 'ListShards'
    if (isByName && input['StreamARN'] === undefined && input['StreamId'] === undefined) needed.add('StreamName')
    if (name === 'CreateStream') {
      const mode = input['StreamModeDetails'] as { StreamMode?: string } | undefined
      if (mode?.StreamMode !== 'ON_DEMAND') needed.add('ShardCount')
    }
    if (name !== 'PutRecord' && name !== 'PutRecords') return { needed, dataBytesMax: Infinity }
    const stream = this.#streamOf(input as StreamNamed)
    if (stream?.auto !== true) needed.add('PartitionKey')
    return { needed, dataBytesMax: (stream?.maxRecordKiB ?? 1_024) * 1_024 }
  }
  #streamOf(named: StreamNamed): { readonly auto: boolean; readonly maxRecordKiB: number } | null {
    try {
      return this.#service.streams.find(streamNameOf(this.#service.streams, named))
    } catch {
      return null
    }
  }
  async #run<N extends OperationName>(call: Call<N>): Promise<Answer> {
    const { codec, name } = call
    let isDone = false
    try {
      const answer = await (handlers[name] as unknown as Handler<N>)(call)
      isDone = true
      if (answer instanceof Live)
        return {
          status: 200,
          headers: { 'content-type': 'application/vnd.amazon.eventstream' },
          body: this.#frames(codec, answer),
          done: () => call.done(),
          operation: name,
          error: '',
        }
      const body = answer === null ? none : codec.encode(answer)
      call.shrink(body.length)
      const headers = { 'content-type': codec.mediaType }
      return { status: 200, headers, body, done: () => call.done(), operation: name, error: '' }
    } catch (error) {
      call.done()
      throw error
    } finally {
      call.note(!isDone)
    }
  }
  async *#frames(codec: Codec, { events }: Live): AsyncGenerator<Uint8Array> {
    const contentType = codec.mediaType
    const event = (type: string, body: object): Buffer =>
      encodeEvent({
        headers: { ':message-type': 'event', ':event-type': type, ':content-type': contentType },
        payload: codec.encode(body),
      })
    yield event('initial-response', {})
    try {
      for await (const { type, body } of events) yield event(type, body)
    } catch (error) {
      const { type, message } = this.#said(error)
      yield encodeEvent({
        headers: {
          ':message-type': 'exception',
          ':exception-type': type === 'InternalFailure' ? 'InternalFailureException' : type,
          ':content-type': contentType,
        },
        payload: codec.encode({ message }),
      })
    }
  }
  #failure(codec: Codec, operation: string, error: unknown): Answer {
    const { type, message, status } = this.#said(error)
    const text = type === 'SerializationException' ? { Message: message } : message === '' ? {} : { message }
    return failed(codec, operation, type, { status, text })
  }
  #said(error: unknown): ServiceError {
    const said = serviceError(error)
    if (said.status >= 500 && said.message === '' && !(error instanceof ServiceError))
      this.#logger.error('kinesis: a request failed', { error })
    return said
  }
}

/** null: it is no object of the form. A Fault says why, where the service has no words for it. */
function valueOf(codec: Codec, body: Uint8Array): object | Fault | null {
  try {
    const value = codec.decode(body)
    return typeof value === 'object' ? value : null
  } catch (error) {
    return error instanceof Fault && body.length > limits.kinesisItems ? error : null
  }
}
function failed(
  codec: Codec,
  operation: string | null,
  type: string,
  { status = 400, text = {} }: { status?: number; text?: object } = {},
): Answer {
  return {
    status,
    headers: { 'content-type': codec.mediaType, 'x-amzn-ErrorType': type },
    body: codec.encode({ __type: type, ...text }),
    operation: operation ?? 'unknown',
    error: type,
  }
}
const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
const unnamed = (): Answer =>
  xml(403, 'AccessDeniedException', 'Unable to determine service/operation name to be authorized')
function xml(status: number, type: string, message: string | null = null): Answer {
  const text = message === null ? `<${type}/>\n` : `<${type}>\n  <Message>${message}</Message>\n</${type}>\n`
  return { status, headers: {}, body: Buffer.from(text), operation: 'unknown', error: type }
}
/** A form that the service does not speak any more. */
function deprecated(isMalformed: boolean): Answer {
  const type = isMalformed ? 'SerializationException' : 'UnknownOperationException'
  return {
    status: isMalformed ? 400 : 404,
    headers: { 'content-type': plainJson },
    body: Buffer.from(JSON.stringify({ Output: { __type: `com.amazon.coral.service#${type}` }, Version: '1.0' })),
    operation: 'unknown',
    error: type,
  }
}
function preflight(asked: Request['headers'], common: Record<string, string>): Answer {
  const [headers, method] = [asked['access-control-request-headers'], asked['access-control-request-method']]
  return {
    status: 200,
    headers: {
      ...common,
      ...(headers === undefined ? {} : { 'Access-Control-Allow-Headers': headers }),
      ...(method === undefined ? {} : { 'Access-Control-Allow-Methods': method }),
      'Access-Control-Max-Age': '172800',
    },
    body: none,
    operation: 'preflight',
    error: '',
  }
}
