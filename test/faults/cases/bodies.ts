/**
 * Malformed HTTP bodies: some that must be refused, and mutations of right ones. Each answer is a success, or a 4xx that is
 * a problem document with a code, or a closed connection; never a 5xx (but 501 for a statement that SQL has and Millrace
 * does not), never silence. The process lives, its memory stays
 * bounded, and a good Kafka client beside it is served.
 */
import type { Millrace } from '../../interop/setup/index.ts'
import { mustBeRefused, mutateBody, openTopic, orderSchema, rightRequests, strictTopic } from '../bad-bodies.ts'
import { Canary } from '../canary.ts'
import { type Context, type FaultCase, type Outcome, startFirst } from '../case.ts'
import { exchange, type RawAnswer, type RawRequest, serialize } from '../http.ts'
import { megabytes, MemoryWatch } from '../process.ts'

export const bodies: FaultCase = { name: 'bodies', says: 'malformed HTTP bodies', run: malformedBodies }

const requestsOf = ({ times }: Context): number => times(1_000, 1_000_000)
const atOnce = 8
const answerWithinMs = 20_000
/** So that resident memory is what is held, not what the collector has not looked at yet. */
const heap = { NODE_OPTIONS: '--max-old-space-size=256' }
/** A body may take 16 MiB, inflated and parsed; several at once. */
const growthBytesMax = 256 * 1024 * 1024

interface Tally {
  refused: number
  accepted: number
  closed: number
  readonly problems: string[]
}

async function malformedBodies(context: Context): Promise<Outcome> {
  const { random } = context
  const product: Millrace = await startFirst({ data: context.folder, env: heap })
  const canary = new Canary(product.kafka)
  const tally: Tally = { refused: 0, accepted: 0, closed: 0, problems: [] }
  try {
    await makeTopics(product.http)
    await canary.start()
    const right = rightRequests()
    for (const request of right) await mustWork(product.http, request)
    // Warm, so that growth is what bad bodies cost.
    await sendMany(product.http, 200, () => [mutateBody(right[0]!, random), 'any'], tally)
    const memory = new MemoryWatch(product.pid)
    const refused = mustBeRefused()
    let next = 0
    await sendMany(
      product.http,
      requestsOf(context),
      () => {
        const at = next++
        if (at < refused.length) return [refused[at]!, 'refused']
        return [mutateBody(right[Math.floor(random() * right.length)]!, random), 'any']
      },
      tally,
    )
    memory.stop()
    if (!product.running) tally.problems.push(`the process ended with ${await product.ended}\n${product.log()}`)
    for (const request of right) await mustWork(product.http, request)
    if (memory.max - memory.first > growthBytesMax)
      tally.problems.push(`memory grew from ${megabytes(memory.first)} to ${megabytes(memory.max)} MB`)
    if (tally.refused === 0) tally.problems.push('nothing was refused: nothing was tested')
    const { p50, p99, max } = canary.take()
    await canary.stop()
    await product.stop()
    const figures = { refused: tally.refused, accepted: tally.accepted, closed: tally.closed }
    const memoryFigures = { 'MB before': megabytes(memory.first), 'MB max': megabytes(memory.max) }
    return {
      problems: [...tally.problems.slice(0, 20), ...canary.problems],
      figures: { ...figures, ...memoryFigures, 'good client ms p50/p99/max': `${p50}/${p99}/${max}` },
    }
  } finally {
    await canary.stop()
    await product[Symbol.asyncDispose]()
  }
}

async function makeTopics(http: string): Promise<void> {
  const changes = { [strictTopic]: { schema: orderSchema, onInvalid: 'reject' }, [openTopic]: {} }
  for (const [topic, change] of Object.entries(changes)) {
    const body = JSON.stringify(change)
    const answer = await fetch(`http://${http}/v1/topics/${topic}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body,
    })
    if (!answer.ok) throw new Error(`PUT ${topic} answers ${answer.status}: ${await answer.text()}`)
  }
}

async function mustWork(http: string, request: RawRequest): Promise<void> {
  const answer = await exchange(http, serialize(request, http), answerWithinMs)
  if (typeof answer === 'object' && answer.status >= 200 && answer.status < 300) return
  const says = typeof answer === 'object' ? `${answer.status} ${answer.body.slice(0, 300)}` : answer
  throw new Error(`a right request is refused: ${describe(request)}: ${says}`)
}

type Expected = 'refused' | 'any'

async function sendMany(
  http: string,
  count: number,
  next: () => readonly [RawRequest, Expected],
  tally: Tally,
): Promise<void> {
  let left = count
  const sender = async (): Promise<void> => {
    while (left > 0) {
      left--
      const [request, expected] = next()
      judge(request, expected, await exchange(http, serialize(request, http), answerWithinMs), tally)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, sender))
}

function judge(request: RawRequest, expected: Expected, answer: RawAnswer, tally: Tally): void {
  const problem = (what: string): void => void tally.problems.push(`${describe(request)}: ${what}`)
  if (answer === 'closed') return void tally.closed++
  if (answer === 'hung') return problem(`not answered within ${answerWithinMs} ms`)
  const { status, headers, body } = answer
  if (status >= 200 && status < 300) {
    tally.accepted++
    if (expected === 'refused') problem(`accepted with ${status}: ${body.slice(0, 200)}`)
    return
  }
  tally.refused++
  if (status < 400 || (status >= 500 && status !== 501)) return problem(`answered ${status}: ${body.slice(0, 300)}`)
  if (!isClearFault(status, headers.get('content-type'), body))
    problem(`${status} without a clear fault: ${body.slice(0, 200)}`)
}

/** A problem document of this status; or, for lines of a stream, an answer for each with the fault of at least one. */
function isClearFault(status: number, type: string | undefined, body: string): boolean {
  try {
    const said = JSON.parse(body) as Record<string, unknown>
    if (type?.startsWith('application/problem+json') === true) return isProblem(said) && said['status'] === status
    const records = said['records'] as readonly { fault?: unknown }[]
    const faults = records.flatMap(({ fault }) => (fault === undefined ? [] : [fault]))
    return faults.length > 0 && faults.every(isProblem)
  } catch {
    return false
  }
}
const isProblem = (value: unknown): boolean => {
  const { code, detail } = value as { code?: unknown; detail?: unknown }
  return typeof code === 'string' && /^[a-z]+(\.[a-z0-9-]+)+$/.test(code) && typeof detail === 'string' && detail !== ''
}

function describe({ method, path, headers, body }: RawRequest): string {
  const type = headers['content-type'] ?? ''
  const others = Object.entries(headers).filter(([name]) => name !== 'content-type')
  const also = others.map(([name, value]) => `${name}: ${value.slice(0, 40)}`).join(', ')
  return `${method} ${path.slice(0, 80)} ${type} ${also} ${JSON.stringify(body.subarray(0, 120).toString('utf8'))}`
}
