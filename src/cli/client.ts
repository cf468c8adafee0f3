/** The HTTP interface as the commands use it. Faults of the server become CommandErrors with the right exit code. */
import type { Problem } from '../gateway/http/api.ts'
import { type Call, CommandError, exit } from './command.ts'
import { parseExact } from './exact-json.ts'

export interface Request {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  readonly path: string
  readonly body?: unknown
  readonly raw?: { readonly bytes: Uint8Array; readonly type: string }
  readonly accept?: string
  readonly headers?: Readonly<Record<string, string>>
}

/** MILLRACE_TOKEN, or MILLRACE_USER with MILLRACE_PASSWORD. */
function whoAsks(env: NodeJS.ProcessEnv): Record<string, string> {
  const { MILLRACE_TOKEN: token, MILLRACE_USER: user, MILLRACE_PASSWORD: password = '' } = env
  if (token !== undefined) return { authorization: `Bearer ${token}` }
  if (user === undefined) return {}
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }
}

/** Answers of 2xx only. */
export async function call(on: Call, request: Request): Promise<Response> {
  const accept = request.accept ?? 'application/json'
  const headers: Record<string, string> = { accept, ...whoAsks(process.env), ...request.headers }
  let body: Uint8Array<ArrayBuffer> | string | undefined
  if (request.raw !== undefined) {
    headers['content-type'] = request.raw.type
    body = new Uint8Array(request.raw.bytes)
  } else if (request.body !== undefined) {
    headers['content-type'] = 'application/json'
    body = JSON.stringify(request.body)
  }
  let answer: Response
  try {
    answer = await fetch(new URL(request.path, on.server), {
      method: request.method ?? 'GET',
      headers,
      signal: on.signal,
      ...(body === undefined ? {} : { body }),
    })
  } catch (error) {
    if (on.signal.aborted) throw new CommandError('interrupted', { exitCode: exit.interrupted })
    throw noAnswer(on.server, (error as Error).cause ?? error)
  }
  if (!answer.ok) throw await failure(answer)
  return answer
}
/** What Node says of a certificate that it does not trust. */
const ofCertificates = /CERT|ISSUER|SIGNATURE/
function noAnswer(server: string, cause: unknown): CommandError {
  const { code = '', message = String(cause) } = cause as { code?: string; message?: string }
  if (ofCertificates.test(code))
    return new CommandError(`the certificate of ${server} is not trusted (${code})`, {
      code: 'cli.untrusted',
      hint: `Name the file of its authority (PEM) in NODE_EXTRA_CA_CERTS, and the server as the certificate does. (${message})`,
    })
  return new CommandError(`nothing answers at ${server}`, {
    code: 'cli.no-server',
    hint: `Start it with \`millrace serve\`, or name it with --server, by https:// where it has TLS. (${String(cause)})`,
  })
}
export async function json<T>(on: Call, request: Request): Promise<T> {
  return parseExact(await (await call(on, request)).text()) as T
}

async function failure(answer: Response): Promise<CommandError> {
  const text = await answer.text()
  let problem: Partial<Problem> = {}
  try {
    problem = JSON.parse(text) as Partial<Problem>
  } catch {
    // Not from Millrace: the status has to do.
  }
  return failed(problem, answer.status)
}
function failed(problem: Partial<Problem>, status: number): CommandError {
  const { detail = `the server answered ${status}`, code = `http.${status}`, hint = '' } = problem
  return new CommandError(detail, {
    exitCode: exitCodeOf(status),
    code,
    hint,
    ...(problem.sqlstate === undefined ? {} : { sqlstate: problem.sqlstate }),
    ...(problem.excerpt === undefined ? {} : { excerpt: problem.excerpt }),
  })
}
function exitCodeOf(status: number): number {
  if (status === 404) return exit.notFound
  if (status === 401 || status === 403) return exit.notAllowed
  if (status === 408 || status === 504) return exit.timedOut
  if (status === 409 || status === 412) return exit.conflict
  return exit.failed
}

/** Lines of a streamed answer (NDJSON). */
export async function* lines(answer: Response): AsyncGenerator<string> {
  if (answer.body === null) return
  let rest = ''
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    rest += chunk
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const line = rest.slice(0, end).trimEnd()
      rest = rest.slice(end + 1)
      if (line !== '') yield line
    }
  }
  if (rest.trim() !== '') yield rest
}

/** Events of a server-sent event stream. Throws what ended it. */
export async function* events(answer: Response): AsyncGenerator<{ event: string; id: string; data: string }> {
  if (answer.body === null) return
  let event = 'message'
  let id = ''
  let data: string[] = []
  let rest = ''
  for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
    rest += chunk
    for (let end = rest.indexOf('\n'); end >= 0; end = rest.indexOf('\n')) {
      const line = rest.slice(0, end).replace(/\r$/, '')
      rest = rest.slice(end + 1)
      if (line === '') {
        if (event === 'fault') {
          const problem = JSON.parse(data.join('\n')) as Problem
          throw failed(problem, problem.status)
        }
        if (data.length > 0) yield { event, id, data: data.join('\n') }
        event = 'message'
        data = []
      } else if (line.startsWith('event:')) event = line.slice(6).trim()
      else if (line.startsWith('id:')) id = line.slice(3).trim()
      else if (line.startsWith('data:')) data.push(line.slice(5).replace(/^ /, ''))
    }
  }
}
