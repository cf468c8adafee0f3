/** Connections that are not sockets: what is sent arrives at once, what is answered is kept. */
import type { TimeMs } from '../../../src/lib/brand.ts'
import type { Address, Clock, Connection, Listener, Net } from '../../../src/lib/world.ts'

export class MemoryConnection implements Connection {
  readonly local = { host: '127.0.0.1', port: 9092 }
  readonly remote: Address
  readonly peerSubject: string | null = null
  backlogBytes = 0
  readonly written: Buffer[] = []
  open = true
  paused = false
  private bytes: (bytes: Uint8Array) => void = () => {}
  private close: (error: Error | null) => void = () => {}
  private drain: () => void = () => {}

  constructor(host: string) {
    this.remote = { host, port: 1 }
  }
  onBytes(handler: (bytes: Uint8Array) => void): void {
    this.bytes = handler
  }
  onClose(handler: (error: Error | null) => void): void {
    this.close = handler
  }
  onDrain(handler: () => void): void {
    this.drain = handler
  }
  write(buffers: readonly Uint8Array[]): boolean {
    this.written.push(Buffer.concat(buffers))
    return this.backlogBytes === 0
  }
  pause(): void {
    this.paused = true
  }
  resume(): void {
    this.paused = false
  }
  end(): void {
    this.destroy()
  }
  destroy(): void {
    if (!this.open) return
    this.open = false
    queueMicrotask(() => this.close(null))
  }
  /** The peer took everything. */
  drained(): void {
    this.backlogBytes = 0
    this.drain()
  }
  send(bytes: Uint8Array): void {
    this.bytes(bytes)
  }
}

export class MemoryNet {
  private accept: (connection: Connection) => void = () => {}

  readonly asNet = {
    listen: async (at: Address, accept: (connection: Connection) => void): Promise<Listener> => {
      this.accept = accept
      return { at, renew() {}, close: async () => {} }
    },
  } as Pick<Net, 'listen'> as Net

  connect(host = '127.0.0.1'): MemoryConnection {
    const connection = new MemoryConnection(host)
    this.accept(connection)
    return connection
  }
}

/** A clock that stands until it is told to go on. */
export class HandClock implements Clock {
  private time = 0
  private readonly timers = new Set<{ at: number; call: () => void }>()
  now(): TimeMs {
    return this.time as TimeMs
  }
  monotonic(): number {
    return this.time
  }
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve))
  }
  after(ms: number, call: () => void): () => void {
    const timer = { at: this.time + ms, call }
    this.timers.add(timer)
    return () => void this.timers.delete(timer)
  }
  soon(call: () => void): void {
    setImmediate(call)
  }
  advance(ms: number): void {
    const end = this.time + ms
    for (;;) {
      const [next] = [...this.timers].toSorted((a, b) => a.at - b.at)
      if (next === undefined || next.at > end) break
      this.timers.delete(next)
      this.time = next.at
      next.call()
    }
    this.time = end
  }
}
