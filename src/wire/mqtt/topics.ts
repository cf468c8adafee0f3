/** Topic names and filters (MQTT 5, 4.7), shared subscriptions (4.8.2). */
import { MqttError, reason } from './reason.ts'

export const isTopicName = (topic: string): boolean => topic !== '' && !topic.includes('+') && !topic.includes('#')

export function levelsOf(topic: string): number {
  let levels = 1
  for (let at = topic.indexOf('/'); at >= 0; at = topic.indexOf('/', at + 1)) levels++
  return levels
}
export function isFilter(filter: string): boolean {
  if (filter === '') return false
  const levels = filter.split('/')
  return levels.every((level, i) => {
    if (level === '#') return i === levels.length - 1
    return level === '+' || (!level.includes('+') && !level.includes('#'))
  })
}
export function matches(filter: string, topic: string): boolean {
  const wanted = filter.split('/')
  const levels = topic.split('/')
  if (topic.startsWith('$') && (wanted[0] === '+' || wanted[0] === '#')) return false
  for (let i = 0; i < wanted.length; i++) {
    if (wanted[i] === '#') return true
    if (i >= levels.length || (wanted[i] !== '+' && wanted[i] !== levels[i])) return false
  }
  return wanted.length === levels.length
}
/** Whether a topic may exist that both match. */
export function overlap(a: string, b: string): boolean {
  const left = a.split('/')
  const right = b.split('/')
  const hidden = (one: readonly string[], other: readonly string[]): boolean =>
    one[0]!.startsWith('$') && (other[0] === '+' || other[0] === '#')
  if (hidden(left, right) || hidden(right, left)) return false
  for (let i = 0; ; i++) {
    if (left[i] === '#' || right[i] === '#') return true
    if (i >= left.length || i >= right.length) return left.length === right.length
    if (left[i] !== '+' && right[i] !== '+' && left[i] !== right[i]) return false
  }
}

export interface Shared {
  readonly group: string
  readonly filter: string
}
/** Null for a filter that is not shared. Throws MqttError. */
export function sharedFilter(text: string): Shared | null {
  if (text !== '$share' && !text.startsWith('$share/')) return null
  const [, group = '', ...rest] = text.split('/')
  const filter = rest.join('/')
  if (group === '' || group.includes('+') || group.includes('#') || !isFilter(filter))
    throw new MqttError(reason.topicFilterInvalid, 'a shared subscription has the form $share/GROUP/FILTER')
  return { group, filter }
}
