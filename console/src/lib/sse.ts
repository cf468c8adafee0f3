/** Server-sent events, as the WHATWG describes them, over any stream of text. */
export interface ServerEvent {
  readonly event: string
  readonly data: string
}

/** Text in arbitrary pieces to events; remembers the last id and the server's wish how long to wait before connecting again. */
export class EventParser {
  lastId = ''
  retryMs: number | null = null
  #rest = ''
  #event = ''
  #data: string[] = []

  push(piece: string): ServerEvent[] {
    const events: ServerEvent[] = []
    // A CR at the very end may be the first half of CR LF: it waits for what follows.
    const text = this.#rest + piece
    const whole = text.endsWith('\r') ? text.length - 1 : text.length
    let from = 0
    for (;;) {
      const end = nextBreak(text, from, whole)
      if (end < 0) break
      this.#line(text.slice(from, end), events)
      from = text.startsWith('\r\n', end) ? end + 2 : end + 1
    }
    this.#rest = text.slice(from)
    return events
  }

  #line(line: string, events: ServerEvent[]): void {
    if (line === '') {
      if (this.#data.length > 0) events.push({ event: this.#event || 'message', data: this.#data.join('\n') })
      this.#data = []
      this.#event = ''
      return
    }
    const colon = line.indexOf(':')
    if (colon === 0) return
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'data') this.#data.push(value)
    else if (field === 'event') this.#event = value
    else if (field === 'id' && !value.includes('\0')) this.lastId = value
    else if (field === 'retry' && /^\d+$/.test(value)) this.retryMs = Number(value)
  }
}

function nextBreak(text: string, from: number, before: number): number {
  const lf = text.indexOf('\n', from)
  const cr = text.indexOf('\r', from)
  const at = lf < 0 ? cr : cr < 0 ? lf : Math.min(lf, cr)
  return at >= before ? -1 : at
}
