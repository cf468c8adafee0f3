/** What a fault case is given and gives back, and small things that several of them use. */
import { freePorts, type Millrace, startMillrace, type StartOptions } from '../interop/setup/index.ts'

export interface Context {
  readonly quick: boolean
  /** How often, of the two forms the one that runs: of the full one as large a part as was asked for. */
  readonly times: (quick: number, full: number) => number
  /** From the seed that is printed; the same seed gives the same choices (not the same interleaving of processes). */
  readonly random: () => number
  /** A folder of the case, on the machine's disk; removed after it unless it failed. */
  readonly folder: string
  /** Progress, on standard error. */
  readonly note: (text: string) => void
}
export type Outcome =
  | { readonly figures: Readonly<Record<string, string | number>>; readonly problems: readonly string[] }
  | { readonly skipped: string }
export interface FaultCase {
  readonly name: string
  readonly says: string
  run(context: Context): Promise<Outcome>
}

export const between = (random: () => number, from: number, to: number): number => from + random() * (to - from)

/** Mulberry32: small, and good enough to choose instants. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? Number.NaN
}

/** Starts the product on ports that it can come back to. */
export async function startFirst(options: StartOptions): Promise<Millrace> {
  const [kafka, http] = await freePorts()
  return startMillrace({ kafka: `127.0.0.1:${kafka}`, http: `127.0.0.1:${http}`, ...options })
}
/** Starts the product again where it listened before, so that clients come back by themselves. */
export async function startAgain(before: Millrace, options: StartOptions = {}): Promise<Millrace> {
  const http = before.http === '' ? {} : { http: before.http }
  return startMillrace({ data: before.data, kafka: before.kafka, ...http, ...options })
}
