/**
 * Everything that is not a pure function of its arguments: clock, chance, disk and network. Nothing else in `src/`
 * touches `Date.now`, timers, `Math.random`, `node:fs` or `node:net` (the gateways' socket shells aside; a test holds
 * this). `lib/real/` is the machine we run on; `lib/sim/` is a machine with a seed.
 */
import type { TimeMs } from './brand.ts'
import type { Port } from './line.ts'

export interface World {
  readonly clock: Clock
  readonly random: Random
  readonly disk: Disk
  readonly net: Net
  /** Absent: everything runs on one. */
  readonly threads?: Threads
  /** Absent: there is always enough. */
  readonly memory?: Memory
}

/** In bytes. */
export interface Memory {
  /** What this process takes, all threads together. */
  used(): number
  /** What it may take: all of the machine's, or less where it is told so. */
  readonly limit: number
  /** What the machine has left, counting what it can give back. */
  free(): number
}

export interface Threads {
  /** Starts one that loads `module`, which finds `data` there. It keeps the process from ending by nothing but what it has open. */
  start(module: URL, data: unknown): Thread
}
export interface Thread {
  readonly port: Port
  /** Resolves when it has ended: why it did so by itself; null: it was told to. */
  readonly ended: Promise<string | null>
  /** Whatever it is at. */
  end(): Promise<void>
}

export interface Clock {
  /** Wall clock. May jump, also backwards. */
  now(): TimeMs
  /** Milliseconds from an arbitrary start; never goes back. Fractions allowed. */
  monotonic(): number
  /** Rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls once after `ms`. Returns a cancel function. A pending timer keeps no process alive. */
  after(ms: number, call: () => void): () => void
  /** Calls at the next turn of the event loop, after what has arrived by then has been handled. */
  soon(call: () => void): void
}

export interface Random {
  /** Cryptographically strong in the real world. */
  bytes(count: number): Uint8Array
  /** In [0, 1). */
  fraction(): number
  /** RFC 9562 version 4. */
  uuid(): string
}

/** What a failing disk says. `code` is the errno name: ENOSPC, EIO, ENOENT, … */
export interface DiskError extends Error {
  readonly code: string
}

/**
 * One open file. Writes land in the page cache: visible at once to every reader, durable only after `datasync`. Calls
 * without a promise run to the end before they return; they are for what the page cache answers.
 */
export interface File {
  readonly path: string
  size(): number
  /** All buffers one after another from `position`. Throws DiskError; some prefix may have been written then. */
  write(buffers: readonly Uint8Array[], position: number): void
  /** Fills as much of `target` as the file holds from `position`; returns the count of bytes. */
  read(target: Uint8Array, position: number): number
  /** The same without blocking the thread. */
  readLater(target: Uint8Array, position: number): Promise<number>
  truncate(size: number): void
  /** fdatasync. After a rejection the file's unsynced pages are in an unknown state: never write or trust them again. */
  datasync(): Promise<void>
  close(): void
}

export interface Disk {
  /** Of zeros ahead of a file's end where many small writes are synced one by one; 0 = a sync of what grows costs no more. */
  readonly roomBytes: number
  /** 'read' throws ENOENT when missing; 'write' creates when missing and reads and writes. */
  open(path: string, mode: 'read' | 'write'): File
  stat(path: string): { size: number; modifiedMs: TimeMs; directory: boolean } | null
  /** Names in a directory, sorted; [] when it does not exist. */
  list(path: string): string[]
  /** With its parents; no error when it exists. */
  makeDirectory(path: string): void
  /** Replaces `to` atomically. Durable after `syncDirectory`. */
  rename(from: string, to: string): void
  /** A file, or a directory with all it holds. No error when missing. */
  remove(path: string): void
  syncDirectory(path: string): Promise<void>
  /** Bytes that may still be written on the file system of `path`. */
  free(path: string): number
  /** One holder over all processes, released by the death of the process. Throws Fault 'store.locked'. */
  lock(path: string): { release(): void }
}

export interface Address {
  readonly host: string
  readonly port: number
}

export interface Net {
  /**
   * Port 0 picks one. With `tls` a connection is there when its handshake is done, and `failed` is told of handshakes that
   * came to nothing. Throws when that is no certificate.
   */
  listen(
    at: Address,
    accept: (connection: Connection) => void,
    tls?: TlsServer,
    failed?: (handshake: FailedHandshake) => void,
  ): Promise<Listener>
  /** With `tls` the connection is encrypted, and the peer has shown a certificate for the host, before it resolves. */
  connect(to: Address, signal?: AbortSignal, tls?: TlsClient): Promise<Connection>
  /** Addresses of a name; a literal address is itself. */
  resolve(host: string): Promise<string[]>
  /** One HTTP request to exactly `address`, whatever the URL's host resolves to now. Redirects are not followed. */
  request(request: HttpRequest, address: string, signal: AbortSignal): Promise<HttpAnswer>
}
export interface FailedHandshake {
  readonly host: string
  readonly why: string
  /** The client showed no certificate, or one that nobody vouches for. */
  readonly ofCertificate: boolean
}
/** Texts are PEM. */
export interface TlsClient {
  /** Who may vouch for the peer; the system's own authorities otherwise. */
  readonly ca?: string
  /** What we show when we are asked who we are. */
  readonly cert?: string
  readonly key?: string
  /** The name that the certificate must be for, where it is not the host. */
  readonly serverName?: string
}
/** Texts are PEM. */
export interface TlsServer {
  readonly cert: string
  readonly key: string
  /** Who may vouch for clients. */
  readonly ca?: string
  /** Whether clients must show a certificate. One that is shown and that nobody vouches for ends the handshake. */
  readonly clientAuth: 'none' | 'requested' | 'required'
}
export interface HttpRequest {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
  readonly body: Uint8Array
  /** Bytes of the answer's body to keep; the rest is dropped. */
  readonly answerBytesMax: number
}
export interface HttpAnswer {
  readonly status: number
  readonly headers: Record<string, string>
  readonly body: Uint8Array
}

export interface Listener {
  readonly at: Address
  /** Another certificate for handshakes from now on. Throws when it is none; the old one stays then. */
  renew(tls: TlsServer): void
  /** Stops accepting; open connections stay. */
  close(): Promise<void>
}

export interface Connection {
  readonly local: Address
  readonly remote: Address
  /** The subject of the certificate that the peer has shown (RFC 2253), which somebody vouches for; null without one. */
  readonly peerSubject: string | null
  /**
   * One handler each; set them before the first turn of the event loop ends. `bytes` is only valid during the call: its
   * memory is what the next bytes are read into, of any connection. `room` is asked after each call: the next bytes may be
   * put there, from its start on, and `bytes` is that part of it then; null leaves the place to the connection.
   */
  onBytes(handler: (bytes: Uint8Array) => void, room?: () => Uint8Array | null): void
  onClose(handler: (error: Error | null) => void): void
  /**
   * False when the peer reads slower than we write: wait for `onDrain` before more. The buffers belong to the connection
   * until it calls `sent`, which it does not when it closes before.
   */
  write(buffers: readonly Uint8Array[], sent?: () => void): boolean
  onDrain(handler: () => void): void
  /** Bytes written and not yet taken by the peer's kernel. */
  readonly backlogBytes: number
  pause(): void
  resume(): void
  /** Sends what is written, then closes. */
  end(): void
  destroy(): void
}
