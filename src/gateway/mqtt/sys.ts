/** `$SYS`: what the server says of itself, as retained messages that lie in no log. */
import type { Message } from '../../log/mqtt-message.ts'
import { TopicTree } from './tree.ts'

export const sysPrefix = '$SYS/'
const base = `${sysPrefix}broker/`

export class Sys {
  readonly #tree = new TopicTree<Message>()
  readonly #values = new Map<string, string>()

  /** Takes the numbers of now; returns what has changed. */
  update(values: Readonly<Record<string, string | number>>, nowMs: number): Message[] {
    const changed: Message[] = []
    for (const [name, value] of Object.entries(values)) {
      const text = String(value)
      if (this.#values.get(name) === text) continue
      this.#values.set(name, text)
      const message: Message = {
        topic: `${base}${name}`,
        payload: Buffer.from(text),
        qos: 0,
        retain: true,
        properties: null,
        timeMs: nowMs,
        expiresMs: Infinity,
        publisher: null,
        place: null,
      }
      this.#tree.set(message.topic, message)
      changed.push(message)
    }
    return changed
  }
  find(filter: string): Iterable<Message> {
    return filter.startsWith(sysPrefix) ? this.#tree.find(filter) : []
  }
}
