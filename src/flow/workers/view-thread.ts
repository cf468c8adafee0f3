/**
 * Views on a thread of their own: what that thread gives to the one that started it, and what it asks for. The log, the
 * quarantine and the ticks are over there; state, decoding and steps are here.
 */
import type { MessagePort } from 'node:worker_threads'
import type { Fault } from '../../lib/fault.ts'
import { Line, type Port } from '../../lib/line.ts'
import type { Clock, Disk } from '../../lib/world.ts'
import type { Log } from '../../log/log.ts'
import type { LogMethods } from '../../log/remote/log-host.ts'
import { RemoteLog, remoteCommits } from '../../log/remote/remote-log.ts'
import { type Bell, PartLine } from '../parts/part-line.ts'
import type { ViewPlan } from '../plan.ts'
import { type LocalFlow, type ViewInfo, openFlow } from '../runtime/flow.ts'
import type { BadRecord, QuarantineUse } from '../runtime/quarantine.ts'
import { packed, unpacked } from './code.ts'

/** What the thread is started with. */
export interface ViewThreadData {
  readonly holds: 'views'
  readonly limits: Log['limits']
  readonly commitMs: number | null
  readonly spillFolder: string | null
  /** Two numbers: that of the view that works, or worked last; 0: none has. And whether it waits for a thread with parts. */
  readonly working: Int32Array<SharedArrayBuffer>
  /** Where it has functions from that its views may call. */
  readonly codeFrom: unknown
}
export interface PlacedView {
  /** In `ViewThreadData.working`. */
  readonly number: number
  readonly view: ViewPlan
  readonly keepsOutput: boolean
  /** Threads that have parts of its steps, by the numbers that `link` gave them. */
  readonly far: readonly number[]
}
/** What it asks for. */
export type HostMethods = LogMethods & {
  quarantined: QuarantineUse['records']
  quarantineSettled: QuarantineUse['settled']
  /** The error apart: faults travel bare. Starting again is decided over there. */
  info(info: Omit<ViewInfo, 'error' | 'restarts'>, error: Fault | null): void
  fault(view: string, fault: Fault): void
}

/** `code` has the functions that views may call, or throws why they are not there. */
export function serveViews(
  port: Port,
  data: ViewThreadData,
  { clock, disk }: { clock: Clock; disk: Disk },
  code: () => Promise<readonly unknown[]>,
): void {
  const { limits, commitMs, spillFolder, working } = data
  const placed = new Map<string, PlacedView>()
  const links = new Map<number, PartLine>()
  const link = (number: number, to: MessagePort, bell: Bell): void => {
    links.set(number, new PartLine(to, bell, (waits) => void Atomics.store(working, 1, waits ? 1 : 0)))
  }
  const unlink = (number: number): void => {
    links.get(number)?.close()
    links.delete(number)
  }
  const line: Line<HostMethods> = new Line<HostMethods>(port, {
    ...methodsOf(() => flow, placed, code),
    link,
    unlink,
  } satisfies ViewMethods)
  const flow: LocalFlow = openFlow({
    log: new RemoteLog(line, limits),
    commits: remoteCommits(line),
    clock,
    quarantine: remoteQuarantine(line),
    ...(commitMs === null ? {} : { commitMs }),
    keepsOutput: (view) => placed.get(view)?.keepsOutput ?? true,
    spill: spillFolder === null ? null : { disk, folder: spillFolder },
    far: ({ name }) => {
      const { far, view, number } = placed.get(name)!
      const found = far.flatMap((one) => links.get(one) ?? [])
      return found.length === 0 ? null : { links: found, plan: view.plan, name, viewNumber: number }
    },
    // Of a thread that has ended they know over there, and what is to become of the view.
    onFault: (view, fault) => fault.code !== 'flow.thread-ended' && line.tell('fault', [view, fault]),
    onWork: (view) => {
      working[0] = placed.get(view)?.number ?? 0
    },
    onInfo: ({ error, restarts: _restarts, ...info }) => line.tell('info', [info, error]),
  })
}

const methodsOf = (
  flow: () => LocalFlow,
  placed: Map<string, PlacedView>,
  code: () => Promise<readonly unknown[]>,
) => ({
  ping: () => {},
  start: async (one: PlacedView, paused: boolean) => {
    placed.set(one.view.name, one)
    await flow().start(unpacked(one.view, await code()))
    if (paused) await flow().pause(one.view.name)
  },
  stop: async (name: string) => {
    await flow().stop(name)
    placed.delete(name)
  },
  pause: (name: string) => flow().pause(name),
  resume: (name: string) => flow().resume(name),
  restart: (name: string) => flow().restart(name),
  end: (name: string, fault: Fault) => flow().end(name, fault),
  saved: (name: string) => flow().saved(name),
  savepoint: (view: string, name: string) => flow().savepoint(flow().plan(view), name),
  graph: (name: string) => flow().graph(name),
  examine: async (name: string) => packed(await flow().examine(name), await code()),
  settled: (name: string, signal: AbortSignal) => flow().settled(name, signal),
  close: () => flow().close(),
})
export type ViewMethods = ReturnType<typeof methodsOf> & {
  /** To a thread that holds parts of steps. */
  link(number: number, to: MessagePort, bell: Bell): void
  unlink(number: number): void
}

/** Records are copied: what they lie in stays here. */
const remoteQuarantine = (line: Line<HostMethods>): QuarantineUse => ({
  records: (bad, owner) => line.call('quarantined', [bad.map(copied), owner]),
  settled: (bad, owner, outcome) => {
    const places = bad.map(({ topic, partition, offset }) => ({ topic, partition, offset }))
    return line.call('quarantineSettled', [places, owner, outcome])
  },
})
const bytes = (of: Uint8Array | null): Uint8Array | null => (of === null ? null : Uint8Array.from(of))
function copied({ record, ...bad }: BadRecord): BadRecord {
  const headers = (record.headers ?? []).map(([name, value]) => [name, bytes(value)] as const)
  const { key, value, timeMs } = record
  return { ...bad, record: { key: bytes(key), value: bytes(value), headers, timeMs } }
}
