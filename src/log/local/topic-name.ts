/** What a topic may be called, and what its folder is called. */
import { Fault } from '../../lib/fault.ts'
import type { Random } from '../../lib/world.ts'
import { wrongTopicName } from '../topic-rules.ts'

/** Throws Fault log.invalid-topic by Kafka's own rules. */
export function checkTopicName(topic: string): void {
  const why = wrongTopicName(topic)
  if (why !== null) throw new Fault('log.invalid-topic', { topic, why })
}
/** Leaves room for the id within the 255 bytes that file systems allow a name. */
const encodedLengthMax = 160

/**
 * Folder of a topic, `<encoded name>~<id>`. Capital letters are written `+a`, so two names stay apart on a disk that
 * ignores case; a long name is cut, the id alone already makes the folder unique. Only for people: what a folder holds
 * is known from the catalogue.
 */
export function topicFolder(name: string, id: string): string {
  const encoded = name.replaceAll(/[A-Z]/g, (letter) => `+${letter.toLowerCase()}`).replace(/^\./, '+.')
  return `${encoded.slice(0, encodedLengthMax)}~${id}`
}
export const partitionFolder = (name: string, id: string, index: number): string => `${topicFolder(name, id)}/${index}`

/** Topic and index as a partition's folder tells them: a long name is cut. */
export function partitionOfFolder(folder: string): { topic: string; index: number } {
  const found = /^(.*?)(?:~[0-9a-f-]*)?\/(\d+)$/.exec(folder)
  const topic = (found?.[1] ?? folder).replaceAll(/\+(.)/g, (_, letter: string) => letter.toUpperCase())
  return { topic, index: Number(found?.[2] ?? 0) }
}
/** The topic id at the end of a partition's folder, or null. */
export function idOfFolder(folder: string): string | null {
  return /~([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/\d+$/.exec(folder)?.[1] ?? null
}

/** A new topic id. Its base64url form does not begin with a hyphen, which tools would take for an option. */
export function newTopicId(random: Random): string {
  for (;;) {
    const id = random.uuid()
    if (!/^f[89ab]/.test(id)) return id
  }
}
