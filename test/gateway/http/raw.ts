/** Bytes to a port and what comes back, for what no well-behaved client sends. */
import { connect } from 'node:net'

export function raw(
  url: string,
  bytes: string | Uint8Array,
  options: { endMs?: number; half?: boolean } = {},
): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname)
    let text = ''
    const timer = setTimeout(() => socket.destroy(), options.endMs ?? 5_000)
    socket.on('data', (part) => (text += part.toString('latin1')))
    socket.on('error', (error: NodeJS.ErrnoException) =>
      error.code === 'ECONNRESET' || error.code === 'EPIPE' ? undefined : reject(error),
    )
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(text)
    })
    socket.write(bytes)
    if (options.half === true) socket.end()
  })
}
