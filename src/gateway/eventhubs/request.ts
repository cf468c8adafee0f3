/** What the nodes that are asked get and give. */
import { type Entries, type Value, entryOf, textOf } from '../../wire/amqp/values.ts'

export interface Request {
  readonly messageId: Value
  readonly replyTo: string | null
  readonly application: Entries
  readonly body: Value
}
export interface Answer {
  readonly status: number
  readonly description: string
  readonly body: Value
}
export const applicationText = ({ application }: Request, name: string): string | null =>
  textOf(entryOf(application, name))
