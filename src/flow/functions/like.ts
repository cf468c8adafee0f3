/**
 * LIKE: `%` any text, `_` one character, `\` takes the next as it is. Two cursors and one way back: on a mismatch the
 * last `%` takes one character more, so no pattern costs more than text × pattern.
 */
import { invalidArgument } from './helpers.ts'

export function like(text: string, pattern: string): boolean {
  let t = 0
  let p = 0
  let starP = -1
  let starT = 0
  for (;;) {
    if (p < pattern.length && pattern.charCodeAt(p) === 37) {
      starP = ++p
      starT = t
      continue
    }
    if (t >= text.length) break
    const step = p < pattern.length ? matchOne(text, t, pattern, p) : 0
    if (step !== 0) {
      t += step
      p += patternStep(pattern, p)
    } else if (starP >= 0) {
      starT += unitsAt(text, starT)
      t = starT
      p = starP
    } else return false
  }
  return p === pattern.length
}
const unitsAt = (text: string, at: number): number => (text.codePointAt(at)! > 0xffff ? 2 : 1)
/** Units of the text that the pattern's item takes; 0 = none. */
function matchOne(text: string, t: number, pattern: string, p: number): number {
  const code = pattern.charCodeAt(p)
  if (code === 95) return unitsAt(text, t)
  if (code !== 92) return text.charCodeAt(t) === code ? 1 : 0
  if (p + 1 >= pattern.length) invalidArgument('LIKE pattern must not end with escape character')
  return text.charCodeAt(t) === pattern.charCodeAt(p + 1) ? 1 : 0
}
const patternStep = (pattern: string, p: number): number => (pattern.charCodeAt(p) === 92 ? 2 : 1)
