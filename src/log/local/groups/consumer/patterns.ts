/**
 * Patterns of topics (KIP-848's SubscribedTopicRegex): RE2's syntax, a whole name must match. Matching takes time linear
 * in the name; what it takes for each character is bounded by the pattern's size, and compiling by the text.
 */
import { compilePattern } from '../../../pattern.ts'

/** Throws Fault log.invalid-pattern. */
export function checkPattern(pattern: string): void {
  compilePattern(pattern)
}
/** Those of the names that match each of the patterns, as a walk that can be left and gone on with after each name. */
export function* matches(
  patterns: readonly string[],
  names: Iterable<string>,
  mayFind: (name: string) => boolean = () => true,
): Generator<void, ReadonlyMap<string, string[]>> {
  const found = new Map<string, string[]>(patterns.map((pattern) => [pattern, []]))
  const programs = patterns.map((pattern) => ({ program: compilePattern(pattern), topics: found.get(pattern)! }))
  for (const name of names) {
    for (const { program, topics } of programs) if (program.matches(name) && mayFind(name)) topics.push(name)
    yield
  }
  for (const topics of found.values()) topics.sort()
  return found
}
