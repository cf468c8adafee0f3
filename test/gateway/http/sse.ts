/** A reader of server-sent events that a test steps through. */
import type { Json } from './fixture.ts'

export interface SseMessage {
  readonly event: string
  readonly id: string
  readonly data: Json
}
export interface SseReader {
  /** The server has answered. */
  readonly open: Promise<void>
  readonly end: Promise<void>
  readonly lastId: string
  /** The next event of that name; others before it are skipped. */
  next(event: string): Promise<SseMessage>
  /** Reads one block, an event or a comment. */
  step(): Promise<SseMessage | null>
  close(): void
}

export async function openEvents(
  url: string,
  headers: Record<string, string> = {},
  init: RequestInit = {},
): Promise<SseReader> {
  const abort = new AbortController()
  const response = await fetch(url, {
    ...init,
    headers: { accept: 'text/event-stream', ...headers },
    signal: abort.signal,
  })
  if (response.headers.get('content-type') !== 'text/event-stream')
    throw new Error(`${response.status} ${await response.text()}`)
  const blocks = blocksOf(response)
  const ended = Promise.withResolvers<void>()
  let lastId = ''
  const step = async (): Promise<SseMessage | null> => {
    const { done, value } = await blocks.next()
    if (done === true) {
      ended.resolve()
      throw new Error('the stream has ended')
    }
    const fields = new Map(
      value.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]),
    )
    if (fields.has('id')) lastId = fields.get('id')!
    return fields.has('event')
      ? { event: fields.get('event')!, id: lastId, data: JSON.parse(fields.get('data')!) }
      : null
  }
  await step()
  return {
    open: Promise.resolve(),
    get end() {
      void (async () => {
        for (;;) await step()
      })().catch(() => {})
      return ended.promise
    },
    get lastId() {
      return lastId
    },
    async next(event) {
      for (;;) {
        const message = await step()
        if (message?.event === event) return message
      }
    },
    step,
    close: () => abort.abort(),
  }
}
async function* blocksOf(response: Response): AsyncGenerator<string, void> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const part of response.body!) {
    text += decoder.decode(part, { stream: true })
    for (let cut = text.indexOf('\n\n'); cut >= 0; cut = text.indexOf('\n\n')) {
      yield text.slice(0, cut)
      text = text.slice(cut + 2)
    }
  }
}
