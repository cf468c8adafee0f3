import type { InvalidRecord } from '../flow/decode.ts'

interface Left {
  count: number
  readonly first: string
}
/** Events that a query has left out so far, as they cannot be read. */
export class Unreadable {
  private readonly topics = new Map<string, Left>()

  add(topic: string, events: readonly InvalidRecord[]): void {
    const known = this.topics.get(topic)
    if (known !== undefined) known.count += events.length
    else {
      const { partition, record, fault } = events[0]!
      this.topics.set(topic, {
        count: events.length,
        first: `${topic}:${partition}:${record.offset}: ${fault.message}`,
      })
    }
  }
  also({ topics }: Unreadable): void {
    for (const [topic, { count, first }] of topics)
      this.topics.set(topic, { count: count + (this.topics.get(topic)?.count ?? 0), first })
  }
  /** A line for each topic. */
  get notices(): string[] {
    return Array.from(this.topics, ([topic, { count, first }]) => {
      const events = count === 1 ? '1 event of topic' : `${count} events of topic`
      return `${events} ${topic} cannot be read and ${count === 1 ? 'is' : 'are'} left out, the first at ${first}`
    })
  }
}
