/** HTTP by hand: exactly these bytes go out, and the whole answer comes back. One connection a request. */
import { connect } from 'node:net'

export interface RawRequest {
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
}
export type RawAnswer =
  | { readonly status: number; readonly headers: ReadonlyMap<string, string>; readonly body: string }
  | 'closed'
  | 'hung'

/** Host, length and `connection: close` are added unless they are given. */
export function serialize(request: RawRequest, host: string): Buffer {
  const given: Record<string, string> = { host, connection: 'close', ...request.headers }
  if (!('content-length' in given) && !('transfer-encoding' in given))
    given['content-length'] = String(request.body.length)
  const lines = Object.entries(given).map(([name, value]) => `${name}: ${value}\r\n`)
  return Buffer.concat([
    Buffer.from(`${request.method} ${request.path} HTTP/1.1\r\n${lines.join('')}\r\n`, 'latin1'),
    request.body,
  ])
}

export function exchange(address: string, bytes: Buffer, withinMs: number): Promise<RawAnswer> {
  const at = address.lastIndexOf(':')
  const socket = connect({ host: address.slice(0, at), port: Number(address.slice(at + 1)) })
  const pieces: Buffer[] = []
  return new Promise((done) => {
    const timer = setTimeout(() => {
      socket.destroy()
      done('hung')
    }, withinMs)
    socket.on('data', (piece: Buffer) => pieces.push(piece))
    // A server that refuses early closes while we still write: what it said before counts.
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      done(parseAnswer(Buffer.concat(pieces)))
    })
    socket.write(bytes)
  })
}

function parseAnswer(bytes: Buffer): RawAnswer {
  const headEnd = bytes.indexOf('\r\n\r\n')
  const statusLine = /^HTTP\/1\.1 (\d{3})/.exec(bytes.subarray(0, 64).toString('latin1'))
  if (headEnd < 0 || statusLine === null) return 'closed'
  const headers = new Map<string, string>()
  for (const line of bytes.subarray(0, headEnd).toString('latin1').split('\r\n').slice(1)) {
    const colon = line.indexOf(':')
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim())
  }
  const rest = bytes.subarray(headEnd + 4)
  const chunked = headers.get('transfer-encoding') === 'chunked'
  return { status: Number(statusLine[1]), headers, body: (chunked ? unchunk(rest) : rest).toString('utf8') }
}

function unchunk(bytes: Buffer): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0; at < bytes.length;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    const size = Number.parseInt(bytes.subarray(at, lineEnd).toString('latin1'), 16)
    if (lineEnd < 0 || !(size > 0)) break
    pieces.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = lineEnd + 2 + size + 2
  }
  return Buffer.concat(pieces)
}
