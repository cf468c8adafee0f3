/** Patterns that clients give, in the syntax of RE2: a match takes time in proportion to the text. */
import { RE2JS } from 're2js'
import { Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'

/** Throws Fault log.invalid-pattern. */
export function compilePattern(pattern: string): RE2JS {
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
