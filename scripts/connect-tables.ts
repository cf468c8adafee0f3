/** The tables of docs/connect.md: what stands between its two marks comes from the fields of the connectors. */
import { fieldsOf, sinkFields } from '../src/connect/definition.ts'
import { kinds } from '../src/connect/kinds.ts'
import { restartFields } from '../src/connect/restart-settings.ts'
import type { Field } from '../src/connect/settings.ts'

const begin = '<!-- written by scripts/connect-docs.ts -->'
const end = '<!-- end of what is written -->'

function typeText({ type, secret }: Field): string {
  const text = typeof type === 'string' ? (type === 'truth' ? 'true, false' : type) : type.join(', ')
  return secret === true ? `${text}, secret` : text
}
function table(fields: readonly Field[]): string {
  const rows = fields.map((field) => {
    const { name, required, about } = field
    const usual = required === true ? 'required' : field.default === undefined ? '' : `\`${field.default}\``
    return `| \`${name}\` | ${typeText(field)} | ${usual} | ${about.replaceAll('|', '\\|')} |`
  })
  return ['| setting | is | default | |', '| --- | --- | --- | --- |', ...rows].join('\n')
}
function written(): string {
  const common = new Set([...sinkFields, ...restartFields].map(({ name }) => name))
  const parts = [
    `### Every sink\n\n${table(sinkFields)}`,
    `### Every connector\n\n${table(restartFields)}`,
    ...kinds.flatMap((kind) =>
      (['source', 'sink'] as const)
        .filter((direction) => kind[direction] !== undefined)
        .map((direction) => {
          const own = fieldsOf(kind, direction).filter(({ name }) => direction === 'source' || !common.has(name))
          const fields = own.filter(({ name }) => !name.startsWith('restart.'))
          return `### \`${kind.name}\` ${direction}\n\n${kind.about}\n\n${table(fields)}`
        }),
    ),
  ]
  return parts.join('\n\n')
}

/** The page with its tables as they are now, without regard to blanks that a formatter puts there. */
export function withTables(page: string): string {
  const [before, rest] = page.split(begin)
  const after = rest?.split(end)[1]
  if (before === undefined || after === undefined) throw new Error(`docs/connect.md lacks ${begin} or ${end}`)
  return `${before}${begin}\n\n${written()}\n\n${end}${after}`
}
/** What a formatter may do to a table is no difference. */
export const withoutBlanks = (page: string): string => page.replaceAll(/-{3,}/g, '---').replaceAll(/[ \t]+/g, ' ')
