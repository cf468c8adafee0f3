/** What tags may be, and as they are in answers. */
import { invalid } from '../errors.ts'

const tagsMax = 50
const allowed = /^[\u00C0-\u1FFF\u2C00-\uD7FF\w./\-=+_ @%:]*$/
type Tags = Readonly<Record<string, string>>

/** Throws ServiceError. */
export function tagsOf(given: ReadonlyMap<string, string>): Tags {
  checkLetters([...given.keys(), ...given.values()])
  if (given.size > tagsMax) throw invalid(`A resource has at most ${tagsMax} tags, not ${given.size}.`)
  return Object.fromEntries(given)
}
export function checkLetters(texts: readonly string[]): void {
  if (!texts.every((text) => allowed.test(text)))
    throw invalid(
      'Some tags contain invalid characters. Valid characters: Unicode letters, digits, white space, _ . / = + - % @.',
    )
}
/** `what`: to add tags to stream … under account …. Throws ServiceError. */
export function checkPercent(texts: readonly string[], what: string): void {
  if (texts.some((text) => text.includes('%')))
    throw invalid(
      `Failed ${what} because some tags contained illegal characters. The allowed characters are ` +
        "Unicode letters, white-spaces, '_',',','/','=','+','-','@'.",
    )
}
/** Throws ServiceError. */
export function withTags(before: Tags, more: Tags, what: string): Tags {
  const tags = { ...before, ...more }
  if (Object.keys(tags).length > tagsMax)
    // The service's own words, though it takes 50.
    throw invalid(`Failed ${what} because a given stream cannot have more than 10 tags associated with it.`)
  return tags
}
export function withoutTags(before: Tags, keys: readonly string[]): Tags {
  return Object.fromEntries(Object.entries(before).filter(([key]) => !keys.includes(key)))
}
export const tagList = (tags: Tags): { Key: string; Value: string }[] =>
  Object.keys(tags)
    .toSorted()
    .map((key) => ({ Key: key, Value: tags[key]! }))
