/**
 * R12: the process is held up under load: stopped (SIGSTOP) for longer than its groups wait for their members, on a disk
 * that takes 20 ms more for each sync, on a machine with eight times as much to do as it can. Nothing acknowledged is lost,
 * nobody is answered wrongly, and producers and members of groups are served again soon after.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Millrace, startMillrace } from '../../interop/setup/index.ts'
import { type Context, type FaultCase, type Outcome, startAgain } from '../case.ts'
import { inject, tracingMissing } from '../inject.ts'
import { Member } from '../member.ts'
import { TransactionLoad } from '../transactions.ts'
import { describeViolations, Verifier } from '../verify.ts'
import { Workload } from '../workload.ts'

export const holdUps: FaultCase = {
  name: 'hold-ups',
  says: 'stopped, on a slow disk, on a machine with too much to do',
  run: holdUp,
}

const roundsOf = ({ times }: Context): number => times(1, 10)
const stopMsOf = (quick: boolean): number => (quick ? 7_000 : 30_000)
const slowMsOf = (quick: boolean): number => (quick ? 4_000 : 30_000)
const recoverWithinMs = 10_000
const beatEveryMs = 1_000
const oversubscribed = 8
const config = { 'segment.bytes': '1048576' }

async function holdUp(context: Context): Promise<Outcome> {
  const { random, quick, folder, note } = context
  let product: Millrace = await startMillrace({ data: join(folder, 'data') })
  const { kafka } = product
  const load = new Workload({ address: kafka, topic: 'held', partitions: 3, leaderCounts: true, random, config })
  const transactions = new TransactionLoad(kafka, 'held-exactly', 3, random)
  const verifier = new Verifier(load.history, load.places)
  const member = new Member(kafka, 'held')
  const problems: string[] = []
  const figures: Record<string, string | number> = {}
  const noTracing = await tracingMissing(folder)
  if (noTracing !== null) note(`no slow disk: ${noTracing}`)
  try {
    await load.start()
    await transactions.start()
    await member.join()
    const ways: readonly (readonly [name: string, hold: () => Promise<void>])[] = [
      ['stopped', () => stopped(product, stopMsOf(quick))],
      ...(noTracing === null ? ([['slow disk', () => slowDisk(product, member, context)]] as const) : ([] as const)),
      ['too much to do', () => tooMuchToDo(member, slowMsOf(quick))],
    ]
    for (let round = 0; round < roundsOf(context) && problems.length === 0; round++)
      for (const [name, hold] of ways) {
        await load.progress(5, 30_000)
        const before = load.acknowledgedBatches
        const joins = member.joins
        await hold()
        const [acknowledgedMs, joinedMs] = await Promise.all([load.progress(5, 60_000), member.join(60_000)])
        const ms = Math.round(Math.max(acknowledgedMs, joinedMs))
        if (ms > recoverWithinMs) problems.push(`${name}: served again after ${ms} ms`)
        // Who is only slow keeps its members.
        if (name !== 'stopped' && member.joins > joins) problems.push(`${name}: a member that said it lives was let go`)
        problems.push(...load.complaints, ...transactions.complaints, ...member.problems)
        problems.push(...describeViolations(await load.whilePaused(() => verifier.look(kafka))))
        figures[`${name}: again after ms`] = Math.max(ms, Number(figures[`${name}: again after ms`] ?? 0))
        note(`${name}: ${load.acknowledgedBatches - before} batches, served again after ${ms} ms`)
      }
    await load.stop()
    await transactions.stop()
    problems.push(...(await transactions.check()))
    await product.stop()
    product = await startAgain(product)
    problems.push(...describeViolations(await verifier.fromStart().look(kafka)), ...(await transactions.check()))
  } finally {
    member.close()
    transactions.abandon()
    await load.stop()
    await product[Symbol.asyncDispose]()
  }
  const { acknowledged, seen } = load.history.counts
  const { committed, aborted } = transactions.counts
  return { problems: [...new Set(problems)], figures: { ...figures, acknowledged, seen, committed, aborted } }
}

async function stopped({ pid }: Millrace, ms: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  await sleep(ms)
  process.kill(pid, 'SIGCONT')
}

async function slowDisk(product: Millrace, member: Member, { folder, quick }: Context): Promise<void> {
  const rule = { calls: 'fdatasync', effect: 'delay_enter=20000' } as const
  const injection = await inject(product.pid, rule, join(folder, 'strace.log'))
  await beating(member, slowMsOf(quick))
  const { count } = injection
  await injection.stop()
  if (count === 0) throw new Error('no sync was delayed: nothing was tested')
}

async function tooMuchToDo(member: Member, ms: number): Promise<void> {
  const busy: ChildProcess[] = []
  try {
    for (let i = 0; i < oversubscribed * availableParallelism(); i++)
      busy.push(spawn('sh', ['-c', 'while :; do :; done'], { stdio: 'ignore' }))
    await beating(member, ms)
  } finally {
    for (const child of busy) child.kill('SIGKILL')
  }
}

async function beating(member: Member, ms: number): Promise<void> {
  const until = performance.now() + ms
  while (performance.now() < until) {
    await member.mustBeat()
    await sleep(beatEveryMs)
  }
}
