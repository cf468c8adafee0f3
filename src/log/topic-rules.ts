/** What a topic may be called: Kafka's own rules. */
import { limits } from '../lib/limits.ts'

/** Topics that the log, parts of Millrace or Kafka's tools keep for themselves: no protocol but Kafka's shows them. */
export const isKeptTopic = (name: string): boolean =>
  /^(_millrace_.*|__consumer_offsets|__transaction_state|__share_group_state|_schemas)$/.test(name)

/** null: it is a name. */
export function wrongTopicName(name: string): string | null {
  if (name === '') return 'it is empty'
  if (name === '.' || name === '..') return 'it has a meaning as a path'
  if (name.length > limits.topicNameLength) return `it is longer than ${limits.topicNameLength} characters`
  if (!/^[A-Za-z0-9._-]+$/.test(name)) return 'it has a character other than letters, digits, dot, underscore, hyphen'
  return null
}
