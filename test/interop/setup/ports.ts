/**
 * Ports for a process that will be stopped and started again where it was. Port 0 gives one of the range that the kernel
 * takes for outgoing connections: while the process is down, such a connection can take the port, even one of a client
 * that tries to reach it (it then talks to itself). These lie below that range.
 */
import { createServer } from 'node:net'

const first = 12_000
const end = 32_000
const triesMax = 100

/** Two ports of 127.0.0.1 that were free a moment ago. */
export async function freePorts(): Promise<readonly [number, number]> {
  const one = await freePort()
  let two = await freePort()
  while (two === one) two = await freePort()
  return [one, two]
}

/** The first of so many ports in a row that were free a moment ago. */
export async function freePortRow(count: number): Promise<number> {
  for (let left = triesMax; left > 0; left--) {
    const from = first + Math.floor(Math.random() * (end - first - count))
    const row = Array.from({ length: count }, (_, i) => from + i)
    if ((await Promise.all(row.map(isFree))).every((free) => free)) return from
  }
  throw new Error(`no ${count} free ports in a row were found between ${first} and ${end}`)
}

async function freePort(): Promise<number> {
  for (let left = triesMax; left > 0; left--) {
    const port = first + Math.floor(Math.random() * (end - first))
    if (await isFree(port)) return port
  }
  throw new Error(`no free port was found between ${first} and ${end}`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer()
    server.once('error', () => done(false))
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)))
  })
}
