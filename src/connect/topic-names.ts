/** What a topic is called on the other side: a text in which {topic} stands for its name on this one. */
import { Fault } from '../lib/fault.ts'
import { wrongTopicName } from '../log/topic-rules.ts'
import { type Settings, wrong } from './settings.ts'

const placeholder = '{topic}'

/** Throws Fault connect.invalid-setting. */
export function checkInto(settings: Settings): void {
  const example = settings.text('into')!.replaceAll(placeholder, 'topic')
  const why = wrongTopicName(example) ?? (example.startsWith('_') ? 'names that begin with _ are kept' : null)
  if (why !== null) throw wrong('into', why)
}
/** Throws Fault connect.invalid-setting, where the names make one that cannot be. */
export function intoTopic(settings: Settings, topic: string): string {
  const name = settings.text('into')!.replaceAll(placeholder, topic)
  const why = wrongTopicName(name)
  if (why !== null)
    throw new Fault('connect.invalid-setting', { setting: 'into', why: `${name.slice(0, 300)}: ${why}` })
  return name
}
