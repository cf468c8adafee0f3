/**
 * Patterns of topics (KIP-848's SubscribedTopicRegex): RE2's syntax, a whole name must match. Matching takes time linear
 * in the name; what it takes for each character is bounded by the pattern's size, and compiling by the text.
 */
import { RE2JS } from 're2js'
import { Fault } from '../../../../lib/fault.ts'
import { limits } from '../../../../lib/limits.ts'

/** Throws Fault log.invalid-pattern. */
export function checkPattern(pattern: string): void {
  compiled(pattern)
}
/** Those of the names that match each of the patterns, as a walk that can be left and gone on with after each name. */
export function* matches(
  patterns: readonly string[],
  names: Iterable<string>,
): Generator<void, ReadonlyMap<string, string[]>> {
  const found = new Map<string, string[]>(patterns.map((pattern) => [pattern, []]))
  const programs = patterns.map((pattern) => ({ program: compiled(pattern), topics: found.get(pattern)! }))
  for (const name of names) {
    for (const { program, topics } of programs) if (program.matches(name)) topics.push(name)
    yield
  }
  for (const topics of found.values()) topics.sort()
  return found
}

function compiled(pattern: string): RE2JS {
  const refuse = (why: string): never => {
    throw new Fault('log.invalid-pattern', { pattern: pattern.slice(0, 64), why })
  }
  if (pattern.length > limits.groupPatternLength) return refuse(`it is longer than ${limits.groupPatternLength}`)
  // Counted repetitions are written out when the pattern is compiled.
  const copies = Array.from(pattern.matchAll(/\{(\d{1,4})?,?(\d{1,4})?\}/g), ([, least, most]) =>
    Number(most ?? least ?? 1),
  ).reduce((sum, count) => sum + count, 1)
  if (copies * pattern.length > limits.groupPatternSize * 32) return refuse('it repeats too much')
  let program: RE2JS
  try {
    program = RE2JS.compile(pattern)
  } catch (error) {
    return refuse(error instanceof Error ? error.message.replace(/^error parsing regexp: /, '') : String(error))
  }
  return program.programSize() > limits.groupPatternSize ? refuse('it is too large once compiled') : program
}
