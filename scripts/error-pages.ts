import { faults } from '../src/lib/fault.ts'

/** Any fact shows as its name in angle brackets. */
const names = new Proxy({}, { get: (_, name) => `‹${String(name)}›` })

/** Path → text of each page of docs/errors, from the fault table. */
export function errorPages(): Map<string, string> {
  const pages = new Map<string, string>()
  const codes = Object.keys(faults).sort() as (keyof typeof faults)[]
  for (const code of codes) {
    const meaning = faults[code]
    pages.set(
      `docs/errors/${code}.md`,
      `# ${code}

> ${(meaning.says as (facts: object) => string)(names)}

**What to do.** ${meaning.hint}

| where    | what it is there                                      |
| -------- | ----------------------------------------------------- |
| Kafka    | error code ${meaning.kafka} |
| HTTP     | status ${meaning.http} |
| SQL      | SQLSTATE ${meaning.sqlstate} |
| try again | ${meaning.retry ? 'yes: the same request may succeed later' : 'no: the same request fails again'} |
`,
    )
  }
  const list = codes.map(
    (code) => `- [${code}](${code}.md): ${(faults[code].says as (facts: object) => string)(names)}`,
  )
  pages.set(
    'docs/errors/README.md',
    `# Faults\n\nEvery fault has a code that stays the same, here and in every protocol.\n\n${list.join('\n')}\n`,
  )
  return pages
}
