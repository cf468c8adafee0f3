/**
 * From the subject of a client's certificate to a name, by Kafka's `ssl.principal.mapping.rules`: `DEFAULT` is the whole
 * subject, `RULE:pattern/replacement/` (then `L` or `U` for lower or upper case) the first that matches. Patterns are
 * RE2's: what an operator writes and a stranger's certificate meets takes linear time.
 */
import { RE2JS } from 're2js'
import { Fault } from '../lib/fault.ts'

/** null: by no rule anybody. */
export type PrincipalMapping = (subject: string) => string | null

const ruleForm = /\s*(DEFAULT|RULE:((?:\\.|[^\\/])*)\/((?:\\.|[^\\/])*)\/([LU]?))\s*(?:,|$)/sy

/** Rules in one text, as Kafka has them, with commas between. Throws Fault config.invalid. */
export function principalMapping(text: string): PrincipalMapping {
  const rules: PrincipalMapping[] = []
  ruleForm.lastIndex = 0
  while (ruleForm.lastIndex < text.length) {
    const match = ruleForm.exec(text)
    if (match === null) throw invalid(text, 'it is DEFAULT, or RULE:pattern/replacement/ and L or U')
    const [, rule, pattern = '', replacement = '', letters = ''] = match
    rules.push(rule === 'DEFAULT' ? (subject) => subject : mapping(text, { pattern, replacement, letters }))
  }
  return (subject) => {
    for (const rule of rules) {
      const name = rule(subject)
      if (name !== null) return name
    }
    return null
  }
}
const invalid = (value: string, why: string): Fault =>
  new Fault('config.invalid', { setting: 'principalMapping', value, why })

function mapping(
  text: string,
  { pattern, replacement, letters }: { pattern: string; replacement: string; letters: string },
): PrincipalMapping {
  let compiled: RE2JS
  try {
    compiled = RE2JS.compile(pattern)
  } catch (error) {
    throw invalid(text, `the pattern is none: ${(error as Error).message}`)
  }
  return (subject) => {
    const found = compiled.matcher(subject)
    if (!found.matches()) return null
    const group = (number: number): string => (number <= found.groupCount() ? (found.group(number) ?? '') : '')
    const name = replacement.replaceAll(
      /\$(\d+)|\\(.)/gs,
      (_, number: string | undefined, plain: string | undefined) =>
        number === undefined ? (plain ?? '') : group(Number(number)),
    )
    if (letters === '') return name
    return letters === 'L' ? name.toLowerCase() : name.toUpperCase()
  }
}
