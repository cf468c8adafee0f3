/**
 * A reader for another thread (`Log.readerPort`). The port has to be named in the transfer list of the message that takes it
 * to the worker; `openReaderPort` is called there.
 */
import { MessageChannel, type MessagePort } from 'node:worker_threads'
import { Fault } from '../../lib/fault.ts'
import { Line, portOf } from '../../lib/line.ts'
import type { Claim, Reader, ReaderPort } from '../log.ts'
import { type ReaderMethods, RemoteReader, readerMethods } from '../remote/reader.ts'

export interface PortServer {
  readonly port: ReaderPort
  close(): void
}

export function servePort(reader: Reader, closed: () => void): PortServer {
  const { port1: mine, port2: theirs } = new MessageChannel()
  const line = new Line(
    portOf(mine),
    readerMethods(reader, (claim: Claim) => claim),
  )
  // A port alone keeps no process alive.
  mine.unref()
  const close = (): void => {
    line.end(closedFault())
    mine.close()
    closed()
  }
  mine.once('close', close)
  return { port: theirs as unknown as ReaderPort, close }
}

/** The same reader, in the worker that the port was posted to. */
export function openReaderPort(port: ReaderPort): Reader & { close(): void } {
  const own = port as unknown as MessagePort
  const line = new Line<ReaderMethods<Claim>>(portOf(own), {}, { holds: true })
  own.once('close', () => line.end(closedFault()))
  const reader = new RemoteReader(line, (claim) => claim)
  return {
    read: (from, wait, signal) => reader.read(from, wait, signal),
    restore: (partition, claim, from) => reader.restore(partition, claim, from),
    close: () => own.close(),
  }
}
const closedFault = (): Fault => new Fault('log.closed', { what: 'the log' })
