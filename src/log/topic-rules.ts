/** What a topic may be called: Kafka's own rules. */
import { limits } from '../lib/limits.ts'

/** null: it is a name. */
export function wrongTopicName(name: string): string | null {
  if (name === '') return 'it is empty'
  if (name === '.' || name === '..') return 'it has a meaning as a path'
  if (name.length > limits.topicNameLength) return `it is longer than ${limits.topicNameLength} characters`
  if (!/^[A-Za-z0-9._-]+$/.test(name)) return 'it has a character other than letters, digits, dot, underscore, hyphen'
  return null
}
