/** Node's own WebSocket client, message by message. */
import type { Json } from './fixture.ts'

export interface WebSocketReader {
  /** The next message with that `event`; others before it are skipped. Rejects when the socket closes first. */
  next(event: string): Promise<Json>
  readonly closed: Promise<{ readonly code: number; readonly reason: string; readonly clean: boolean }>
  readonly lastId: string
  send(data: string): void
  close(): void
}

/** Rejects when the handshake is refused. */
export async function openWebSocket(url: string): Promise<WebSocketReader> {
  const socket = new WebSocket(url.replace(/^http/, 'ws'))
  const messages: Json[] = []
  let lastId = ''
  let wake = (): void => {}
  socket.addEventListener('message', ({ data }) => {
    const message = JSON.parse(data as string)
    messages.push(message)
    wake()
  })
  const closed = new Promise<{ code: number; reason: string; clean: boolean }>((resolve) =>
    socket.addEventListener('close', ({ code, reason, wasClean }) => {
      resolve({ code, reason, clean: wasClean })
      wake()
    }),
  )
  await new Promise<void>((resolve, reject) => {
    socket.addEventListener('open', () => resolve())
    socket.addEventListener('error', () => reject(new Error(`the handshake with ${url} was refused`)))
  })
  return {
    closed,
    get lastId() {
      return lastId
    },
    async next(event) {
      for (;;) {
        const message = messages.shift()
        if (message === undefined) {
          if (socket.readyState === WebSocket.CLOSED) throw new Error(`closed before ${event} came`)
          await new Promise<void>((resolve) => (wake = resolve))
          continue
        }
        if (typeof message.id === 'string') lastId = message.id
        if (message.event === event) return message
      }
    },
    send: (data) => socket.send(data),
    close: () => socket.close(),
  }
}
