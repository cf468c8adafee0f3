/** What every socket shell of HTTP does alike: binding, telling the versions apart, waiting for a slow client. */
import type { Server as HttpServer, ServerResponse } from 'node:http'
import type { Http2SecureServer, Http2Server, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import type { AddressInfo, Server, Socket } from 'node:net'
import { limits } from '../limits.ts'
import type { Address, Clock } from '../world.ts'

/**
 * Where it listens. Rejects with what the system says of the address; `failed` hears of a server that cannot accept for a
 * while (no file handles left): it lives on.
 */
export function bind(
  server: Server | Http2SecureServer,
  at: Address,
  failed: (error: Error) => void,
): Promise<Address> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(at.port, at.host, () => {
      server.off('error', reject)
      server.on('error', failed)
      const { address, port } = server.address() as AddressInfo
      resolve({ host: address, port })
    })
  })
}

/** HTTP/2 begins with a preface whose first word is no method of HTTP/1.1. */
const preface = Buffer.from('PRI')

/** Hands the connection to the server of the version that its first bytes speak. Who says nothing for long is cut off. */
export function byVersion(
  socket: Socket,
  clock: Clock,
  servers: { readonly http1: HttpServer; readonly http2: Http2Server },
): void {
  const cancel = clock.after(limits.httpHeaderMs, () => socket.destroy())
  socket.once('close', cancel)
  const look = (): void => {
    const first = socket.read(preface.length) as Buffer | null
    if (first === null) {
      if (socket.readableEnded) socket.destroy()
      else socket.once('readable', look)
      return
    }
    cancel()
    socket.unshift(first)
    const server = first.equals(preface) ? servers.http2 : servers.http1
    server.emit('connection', socket)
  }
  socket.once('readable', look)
}

/**
 * node:http looks after the times of requests from when it listens. One that is handed its connections never does: it is told
 * that it were.
 */
export function lookAfterTimes(server: HttpServer): HttpServer {
  server.emit('listening')
  return server
}

/** Longer than any client keeps one that it does not use. */
const sessionIdleMs = 10 * 60_000
/** HTTP/2 has no end of its own for a connection on which nothing runs. */
export function endIdle(session: ServerHttp2Session, clock: Clock): void {
  let running = 0
  let cancel = (): void => {}
  const rest = (): void => {
    cancel()
    if (running === 0) cancel = clock.after(sessionIdleMs, end)
  }
  const end = (): void => {
    session.close()
    // It waits for a stream whose headers are still to come.
    cancel = clock.after(limits.httpIdleMs, () => session.destroy())
  }
  session.on('stream', (stream) => {
    running++
    cancel()
    stream.on('close', () => {
      running--
      rest()
    })
  })
  session.on('close', () => cancel())
  rest()
}

/** A stream on which nothing comes or goes for so long is cut off. */
export function endStalled(stream: ServerHttp2Stream): void {
  stream.setTimeout(limits.httpStalledMs, () => stream.destroy())
}

/** Whether there is room again: false when the client is gone, or has taken nothing for too long. */
export function drained(response: ServerResponse, clock: Clock): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (goOn: boolean): void => {
      cancel()
      response.off('drain', onDrain)
      response.off('close', onClose)
      resolve(goOn)
    }
    const onDrain = (): void => done(true)
    const onClose = (): void => done(false)
    const cancel = clock.after(limits.httpStalledMs, () => {
      response.destroy()
      done(false)
    })
    response.on('drain', onDrain)
    response.on('close', onClose)
    if (response.destroyed) done(false)
  })
}
