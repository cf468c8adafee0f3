/**
 * A reader for another thread: its calls travel over a MessagePort to the log's owner. The port has to be named in the
 * transfer list of the message that takes it to the worker; `openReaderPort` is called there.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import type { Offset } from '../../lib/brand.ts'
import { type Facts, Fault, type FaultCode, asFault } from '../../lib/fault.ts'
import type { At, Chunk, Claim, Partition, Reader, ReaderPort } from '../log.ts'

type Wait = { ms: number; bytes?: number }
/** `id` names the call it is about: one read, or one restore with all its steps. */
type Asked =
  | { readonly id: number; readonly what: 'read'; readonly from: readonly At[]; readonly wait: Wait | undefined }
  | {
      readonly id: number
      readonly what: 'restore'
      readonly partition: Partition
      readonly claim: Claim
      readonly from: Offset | undefined
    }
  | { readonly id: number; readonly what: 'next' | 'stop' }
interface SentFault {
  readonly code: FaultCode
  readonly facts: Facts<FaultCode>
}
type SentChunk = Exclude<Chunk, { fault: Fault }> | { readonly partition: Partition; readonly fault: SentFault }
/** No chunks from a restore = it is at its end. */
type Answer =
  | { readonly id: number; readonly chunks: readonly SentChunk[] }
  | { readonly id: number; readonly fault: SentFault }

export interface PortServer {
  readonly port: ReaderPort
  close(): void
}

export function servePort(reader: Reader, closed: () => void): PortServer {
  const { port1: mine, port2: theirs } = new MessageChannel()
  const reading = new Map<number, AbortController>()
  const restoring = new Map<number, AsyncIterator<Chunk>>()
  const answer = async (id: number, chunks: () => Promise<readonly Chunk[]>): Promise<void> => {
    let sent: Answer
    try {
      sent = { id, chunks: (await chunks()).map(sendChunk) }
    } catch (error) {
      sent = { id, fault: sendFault(asFault(error)) }
    }
    mine.postMessage(sent)
  }
  const next = async (id: number): Promise<Chunk[]> => {
    const step = await restoring.get(id)?.next()
    return step === undefined || step.done === true ? [] : [step.value]
  }
  const stop = (id: number): void => {
    reading.get(id)?.abort()
    void restoring.get(id)?.return?.()
    restoring.delete(id)
  }
  mine.on('message', (asked: Asked) => {
    const { id } = asked
    switch (asked.what) {
      case 'read': {
        const controller = new AbortController()
        reading.set(id, controller)
        const done = answer(id, () => reader.read(asked.from, asked.wait, controller.signal))
        return void done.finally(() => reading.delete(id))
      }
      case 'restore':
        restoring.set(id, reader.restore(asked.partition, asked.claim, asked.from)[Symbol.asyncIterator]())
        return
      case 'next':
        return void answer(id, () => next(id))
      case 'stop':
        return stop(id)
    }
  })
  // A port alone keeps no process alive.
  mine.unref()
  const close = (): void => {
    for (const id of [...reading.keys(), ...restoring.keys()]) stop(id)
    mine.close()
    closed()
  }
  mine.once('close', close)
  return { port: theirs as unknown as ReaderPort, close }
}

/** Batches are copied out: what is sent must not drag along the memory that they lie in. */
function sendChunk(chunk: Chunk): SentChunk {
  if ('fault' in chunk) return { partition: chunk.partition, fault: sendFault(chunk.fault) }
  return { ...chunk, batches: chunk.batches.map((batch) => new Uint8Array(batch)) }
}
const sendFault = ({ code, facts }: Fault): SentFault => ({ code, facts })
const receiveFault = ({ code, facts }: SentFault): Fault => new Fault(code, facts)
const receiveChunk = (chunk: SentChunk): Chunk =>
  'fault' in chunk ? { partition: chunk.partition, fault: receiveFault(chunk.fault) } : chunk

/** The same reader, in the worker that the port was posted to. */
export function openReaderPort(port: ReaderPort): Reader & { close(): void } {
  return new PortReader(port as unknown as MessagePort)
}

class PortReader implements Reader {
  readonly #port: MessagePort
  readonly #waiting = new Map<number, { resolve: (chunks: Chunk[]) => void; reject: (error: unknown) => void }>()
  #nextId = 0
  #closed = false

  constructor(port: MessagePort) {
    this.#port = port
    port.on('message', (answer: Answer) => {
      const waiting = this.#waiting.get(answer.id)
      this.#waiting.delete(answer.id)
      if ('fault' in answer) waiting?.reject(receiveFault(answer.fault))
      else waiting?.resolve(answer.chunks.map(receiveChunk))
      if (this.#waiting.size === 0) port.unref()
    })
    port.once('close', () => {
      this.#closed = true
      for (const { reject } of this.#waiting.values()) reject(closedFault())
      this.#waiting.clear()
    })
    port.unref()
  }
  close(): void {
    this.#port.close()
  }

  async read(from: readonly At[], wait?: Wait, signal?: AbortSignal): Promise<Chunk[]> {
    signal?.throwIfAborted()
    const id = this.#nextId++
    const aborted = (): void => {
      this.#waiting.get(id)?.reject(signal?.reason)
      this.#waiting.delete(id)
      this.#port.postMessage({ id, what: 'stop' } satisfies Asked)
    }
    signal?.addEventListener('abort', aborted, { once: true })
    try {
      return await this.#ask({ id, what: 'read', from, wait })
    } finally {
      signal?.removeEventListener('abort', aborted)
    }
  }
  async *restore(partition: Partition, claim: Claim, from?: Offset): AsyncIterable<Chunk> {
    const id = this.#nextId++
    this.#port.postMessage({ id, what: 'restore', partition, claim, from } satisfies Asked)
    try {
      for (;;) {
        const [chunk] = await this.#ask({ id, what: 'next' })
        if (chunk === undefined) return
        yield chunk
      }
    } finally {
      this.#port.postMessage({ id, what: 'stop' } satisfies Asked)
    }
  }
  #ask(asked: Asked): Promise<Chunk[]> {
    if (this.#closed) return Promise.reject(closedFault())
    return new Promise((resolve, reject) => {
      this.#waiting.set(asked.id, { resolve, reject })
      this.#port.ref()
      this.#port.postMessage(asked)
    })
  }
}
const closedFault = (): Fault => new Fault('log.closed', { what: 'the log' })
