/** A text of several statements as parts that each give one answer, for the server answers the last statement of what it is sent. */
import { parseStatements } from '../sql/syntax/parse.ts'

const answering = new Set(['query', 'show', 'show-create', 'describe', 'explain'])

/** In order; places in each are those in the whole text. What cannot be read is one part: the server says what is wrong with it. */
export function answerParts(text: string): string[] {
  let statements
  try {
    statements = parseStatements(text)
  } catch {
    return [text]
  }
  const ends = statements.slice(0, -1).flatMap(({ kind, end }) => (answering.has(kind) ? [end] : []))
  return [...ends, text.length].map((end, i) => {
    const from = i === 0 ? 0 : ends[i - 1]!
    const lines = text.slice(0, from).split('\n')
    return '\n'.repeat(lines.length - 1) + ' '.repeat(lines.at(-1)!.length) + text.slice(from, end).replace(/^;/, ' ')
  })
}
