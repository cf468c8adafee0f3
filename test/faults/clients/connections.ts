/**
 * Many connections from a process of its own: `node connections.ts KIND HOST:PORT FROM COUNT HELLO`, HELLO in hex, started
 * with `fork`; counts are sent to the parent.
 *
 *   idle    opens all, says HELLO in each, waits for an answer, and then says nothing more
 *   slow    opens all and says HELLO a byte every half second, again and again
 *   storm   opens COUNT a second, says HELLO, takes the answer and closes
 *
 * Any message from the parent is answered with what stands now; the end of the parent ends it.
 */
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

export interface ConnectionCounts {
  /** Open, and answered once where an answer is waited for. */
  readonly open: number
  readonly answered: number
  readonly closed: number
}

const [kind, address, from, count, hello] = process.argv.slice(2) as [string, string, string, string, string]
const at = address.lastIndexOf(':')
const to = { host: address.slice(0, at), port: Number(address.slice(at + 1)), localAddress: from }
const bytes = Buffer.from(hello, 'hex')
const atOnce = 100
const slowMs = 500
const answerWithinMs = 20_000
const counts = { open: 0, answered: 0, closed: 0 }
const tell = (): void => void process.send?.({ ...counts })

/** Resolves with the socket when it has been answered, with null when it was closed or nothing came. */
function open(say: (socket: Socket) => void, waitForAnswer: boolean): Promise<Socket | null> {
  return new Promise((done) => {
    const socket = connect(to)
    const timer = setTimeout(() => done(null), answerWithinMs)
    socket.on('error', () => {})
    socket.once('connect', () => {
      counts.open++
      socket.once('close', () => {
        counts.open--
        counts.closed++
      })
      say(socket)
      if (!waitForAnswer) done(socket)
    })
    socket.once('data', () => {
      counts.answered++
      done(socket)
    })
    socket.resume()
    socket.once('close', () => {
      clearTimeout(timer)
      done(null)
    })
  })
}

async function idle(): Promise<void> {
  for (let left = Number(count); left > 0; left -= atOnce)
    await Promise.all(Array.from({ length: Math.min(atOnce, left) }, () => open((socket) => socket.write(bytes), true)))
}
async function slow(): Promise<void> {
  const sockets: Socket[] = []
  for (let left = Number(count); left > 0; left -= atOnce) {
    const opened = Array.from({ length: Math.min(atOnce, left) }, () => open(() => {}, false))
    sockets.push(...(await Promise.all(opened)).filter((socket) => socket !== null))
  }
  let next = 0
  setInterval(() => {
    const byte = bytes.subarray(next, next + 1)
    next = (next + 1) % bytes.length
    for (const socket of sockets) if (!socket.destroyed) socket.write(byte)
  }, slowMs)
}
async function storm(): Promise<void> {
  const everyMs = 20
  const begun = performance.now()
  for (let opened = 0; ;) {
    const due = Math.floor(((performance.now() - begun) / 1_000) * Number(count))
    for (; opened < due; opened++) void open((socket) => socket.write(bytes), true).then((socket) => socket?.destroy())
    await sleep(everyMs)
  }
}

process.on('message', tell)
process.on('disconnect', () => process.exit(0))
const kinds: Record<string, () => Promise<void>> = { idle, slow, storm }
await kinds[kind]!()
tell()
