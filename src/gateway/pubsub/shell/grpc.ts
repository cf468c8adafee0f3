/** gRPC over node:http2: one stream is one call. Framing, compression, deadlines and trailers; what a call does lies elsewhere. */
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { gunzip } from 'node:zlib'
import { promisify } from 'node:util'
import { asFault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import { GrpcReader, grpcFrame } from '../../../wire/grpc/frames.ts'
import { statusCodes, statusDetails, statusMessage, timeoutMs } from '../../../wire/grpc/status.ts'
import { decode, encode } from '../../../wire/protobuf/message.ts'
import { streamingPullRequest } from '../../../wire/pubsub/messages.ts'
import type { Peer } from '../access.ts'
import { RpcError, rpcErrorOf } from '../errors.ts'
import { type CallFacts, type Gateway, streamingPullPath } from '../gateway.ts'
import type { AnyMethod } from '../method.ts'
import type { StreamingPull } from '../streaming.ts'
import type { Intake } from './intake.ts'

const unzip = promisify(gunzip)
/** Without one each call would make an error of its own, with where it was made. */
const callOver = new Error('The call is over.')
/** A signal that is made when somebody asks for it: most calls are answered before anybody would. */
class Over {
  readonly #stopping: AbortSignal
  #controller: AbortController | null = null
  #isOver = false

  constructor(stopping: AbortSignal) {
    this.#stopping = stopping
  }
  get signal(): AbortSignal {
    if (this.#isOver) return AbortSignal.abort(callOver)
    this.#controller ??= new AbortController()
    return AbortSignal.any([this.#controller.signal, this.#stopping])
  }
  end(): void {
    this.#isOver = true
    this.#controller?.abort(callOver)
  }
}
/** NGHTTP2_NO_ERROR */
const noError = 0
/** NGHTTP2_CANCEL */
const cancelled = 8

export interface GrpcContext {
  readonly gateway: Gateway
  readonly intake: Intake
  readonly peer: Peer
  /** Aborted when the server stops. */
  readonly stopping: AbortSignal
}

export function serveGrpc(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, context: GrpcContext): void {
  const call = new GrpcCall(stream, headers, context)
  const path = String(headers[':path'])
  if (path === streamingPullPath) return call.streamingPull()
  const method = context.gateway.methodAt(path)
  if (method === null)
    return call.end(new RpcError('UNIMPLEMENTED', `The server does not implement the method ${path.slice(0, 200)}`))
  call.unary(method)
}

class GrpcCall {
  readonly #stream: ServerHttp2Stream
  readonly #context: GrpcContext
  readonly #facts: CallFacts
  readonly #over: Over
  readonly #reader = new GrpcReader(limits.pubsubMessageBytes)
  readonly #encoding: string
  #cancelTimeout: (() => void) | null = null
  #ended = false

  constructor(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, context: GrpcContext) {
    this.#stream = stream
    this.#context = context
    this.#encoding = String(headers['grpc-encoding'] ?? 'identity')
    const ms = timeoutMs(headers['grpc-timeout'] as string | undefined)
    const { clock } = context.gateway.service
    if (ms !== null && ms < limits.pubsubTimeoutMs)
      this.#cancelTimeout = clock.after(ms, () => {
        this.end(new RpcError('DEADLINE_EXCEEDED', 'The deadline of the call has passed.'))
        this.#over.end()
      })
    const over = new Over(context.stopping)
    this.#over = over
    this.#facts = {
      authorization: headers.authorization,
      peer: context.peer,
      get signal() {
        return over.signal
      },
      timeoutMs: ms,
    }
    stream.on('error', () => undefined)
    stream.once('close', () => {
      this.#ended = true
      this.#cancelTimeout?.()
      this.#over.end()
    })
  }

  // --- one request, one answer

  unary(method: AnyMethod): void {
    const bodies: { body: Buffer; compressed: boolean }[] = []
    let held = 0
    const release = (): void => {
      this.#context.intake.release(held)
      held = 0
    }
    this.#stream.once('close', release)
    const came = this.#awaited()
    this.#stream.on('data', (piece: Buffer) => {
      if (this.#ended) return
      held += piece.length
      try {
        this.#context.intake.take(piece.length)
        bodies.push(...this.#reader.push(piece))
      } catch (error) {
        this.end(rpcErrorOf(error))
      }
    })
    this.#stream.once('end', () => {
      came()
      const [first] = bodies
      if (this.#ended) return
      if (first === undefined || bodies.length > 1 || this.#reader.isOpen)
        return this.end(new RpcError('INTERNAL', 'A call has one request.'))
      const took = (bytes: number): void => {
        this.#context.intake.take(bytes)
        held += bytes
      }
      void this.#answer(method, first, took).finally(release)
    })
  }
  async #answer(
    method: AnyMethod,
    frame: { body: Buffer; compressed: boolean },
    took: (bytes: number) => void,
  ): Promise<void> {
    try {
      const plain = await this.#plain(frame)
      // A few bytes may have become many: they count as if they had come.
      if (frame.compressed) took(plain.length)
      const request = method.read?.(plain) ?? decode(method.request, plain)
      const answer = await this.#context.gateway.answer(method, request, this.#facts)
      this.#respond()
      if (!this.#ended) this.#stream.write(grpcFrame(encode(method.response, answer)))
      this.end(null)
    } catch (error) {
      this.end(rpcErrorOf(error))
    }
  }
  async #plain({ body, compressed }: { body: Buffer; compressed: boolean }): Promise<Buffer> {
    if (!compressed) return body
    if (this.#encoding !== 'gzip')
      throw new RpcError('UNIMPLEMENTED', `The encoding ${this.#encoding.slice(0, 32)} is not supported; gzip is.`)
    try {
      return await unzip(body, { maxOutputLength: limits.pubsubMessageBytes })
    } catch (error) {
      throw new RpcError('INVALID_ARGUMENT', `A message cannot be decompressed: ${asFault(error).message}`)
    }
  }

  // --- streaming pull

  streamingPull(): void {
    const { gateway, intake } = this.#context
    const opened = gateway.stream(this.#facts, {
      send: (message) => this.#send(message),
      end: (error) => this.end(error ?? stopped(this.#context.stopping)),
    })
    opened.catch((error: unknown) => this.end(rpcErrorOf(error)))
    const came = this.#awaited()
    let turn: Promise<void> = opened.then(() => undefined).catch(() => undefined)
    this.#stream.on('data', (piece: Buffer) => {
      if (this.#ended) return
      try {
        const frames = this.#reader.push(piece)
        if (frames.length === 0) return
        came()
        intake.take(piece.length)
        this.#stream.pause()
        turn = turn
          .then(async () => this.#received(await opened, frames))
          .catch((error: unknown) => this.end(rpcErrorOf(error)))
          .finally(() => {
            intake.release(piece.length)
            this.#stream.resume()
          })
      } catch (error) {
        this.end(rpcErrorOf(error))
      }
    })
    this.#stream.once('end', () => {
      void opened.then(
        (pull) => turn.then(() => pull.finished()),
        () => undefined,
      )
    })
    this.#stream.once('close', () => void opened.then((pull) => pull.end(null)).catch(() => undefined))
  }
  async #received(pull: StreamingPull, frames: readonly { body: Buffer; compressed: boolean }[]): Promise<void> {
    for (const frame of frames) await pull.received(decode(streamingPullRequest, await this.#plain(frame)))
  }
  /** Resolves when the client has room for more. */
  async #send(message: Buffer): Promise<void> {
    if (this.#ended) return
    this.#respond()
    if (this.#stream.write(grpcFrame(message))) return
    const cancel = this.#cutLater()
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#stream.off('drain', done)
        this.#stream.off('close', done)
        resolve()
      }
      this.#stream.on('drain', done)
      this.#stream.on('close', done)
    })
    cancel()
  }

  /** Who takes nothing for so long is cut off. */
  #cutLater(): () => void {
    const { clock } = this.#context.gateway.service
    return clock.after(limits.pubsubStalledMs, () => this.#stream.close(cancelled))
  }

  /** A request has so long to come, whoever sends it. Answers how to say that it is there. */
  #awaited(): () => void {
    const { clock } = this.#context.gateway.service
    const came = clock.after(limits.httpBodyMs, () => {
      this.end(new RpcError('DEADLINE_EXCEEDED', 'The request did not come in time.'))
      this.#stream.close(cancelled)
    })
    this.#stream.once('close', came)
    return came
  }

  // --- the end

  #respond(): void {
    if (this.#stream.headersSent || this.#stream.destroyed) return
    this.#stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-accept-encoding': 'identity,gzip' },
      { waitForTrailers: true },
    )
    this.#stream.once('wantTrailers', () => {
      this.#stream.sendTrailers(this.#trailers)
      this.#leave()
    })
  }
  /** The client learns that nobody listens to it any more, once it has what was said. */
  #leave(): void {
    this.#context.gateway.service.clock.soon(() => {
      if (!this.#stream.destroyed && !this.#stream.readableEnded) this.#stream.close(noError)
    })
  }
  #trailers: Record<string, string> = { 'grpc-status': '0' }
  end(error: RpcError | null): void {
    if (this.#ended || this.#stream.destroyed) return
    this.#ended = true
    this.#cancelTimeout?.()
    if (error !== null) this.#trailers = trailersOf(error)
    if (this.#stream.headersSent) {
      this.#stream.once('close', this.#cutLater())
      this.#stream.end()
    } else {
      this.#stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', ...this.#trailers },
        { endStream: true },
      )
      this.#leave()
    }
    // What the client still sends is not looked at.
    this.#stream.resume()
  }
}
const stopped = (stopping: AbortSignal): RpcError | null =>
  stopping.aborted ? new RpcError('UNAVAILABLE', 'The server stops.') : null
function trailersOf({ status, message, info }: RpcError): Record<string, string> {
  return {
    'grpc-status': String(statusCodes[status]),
    'grpc-message': statusMessage(message.slice(0, 2_000)),
    ...(info === null ? {} : { 'grpc-status-details-bin': statusDetails(status, message, info) }),
  }
}
