/** Matching for the palette: the letters in order; starts of words and runs count more, shorter names first. */
export interface Match {
  readonly score: number
  /** Positions of the matched letters. */
  readonly at: readonly number[]
}

export function fuzzy(pattern: string, name: string): Match | null {
  const wanted = pattern.toLowerCase().replaceAll(' ', '')
  const lower = name.toLowerCase()
  if (wanted === '') return { score: 0, at: [] }
  const whole = lower.indexOf(wanted)
  if (whole >= 0) {
    const bonus = whole === 0 ? 400 : startsWord(name, whole) ? 300 : 200
    return { score: bonus - name.length, at: Array.from({ length: wanted.length }, (_, i) => whole + i) }
  }
  return scattered(wanted, name, lower)
}

function scattered(wanted: string, name: string, lower: string): Match | null {
  const at: number[] = []
  let from = 0
  let score = 0
  for (const letter of wanted) {
    const found = lower.indexOf(letter, from)
    if (found < 0) return null
    score += startsWord(name, found) ? 8 : found === from ? 5 : 1
    at.push(found)
    from = found + 1
  }
  return { score: score - name.length / 10, at }
}

function startsWord(name: string, at: number): boolean {
  return at === 0 || /[^a-z0-9]/i.test(name[at - 1]!) || (/[a-z]/.test(name[at - 1]!) && /[A-Z]/.test(name[at]!))
}
