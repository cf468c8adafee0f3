/** docs/sql.md names exactly the functions and options that there are. UPDATE_GOLDEN=1 writes the list of functions. */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { functions } from '../../src/flow/functions/index.ts'
import { aggregateNames } from '../../src/sql/bind/aggregates.ts'
import { relationOptions } from '../../src/sql/plan/definitions.ts'
import { viewOptions } from '../../src/sql/plan/view.ts'

const path = join(import.meta.dirname, '../../docs/sql.md')
const text = readFileSync(path, 'utf8')
const begin = '<!-- functions: written by test/sql/docs.test.ts -->'
const end = '<!-- /functions -->'

/** Names inside that have their own syntax. */
const hidden = new Set([
  'cast',
  'neg',
  'like',
  'ilike',
  'not-like',
  'not-ilike',
  'is-distinct',
  'is-not-distinct',
  'timezone',
  'array-element',
  'array-slice',
  'array-of',
  'row-of',
  'equals-any',
])
function table(): string {
  const forms = new Map<string, { args: string[]; about: Set<string> }>()
  for (const { name, args, variadic, about } of functions.rows) {
    if (hidden.has(name)) continue
    const shown = name.replace('prefix ', '')
    const entry = forms.get(shown) ?? { args: [], about: new Set() }
    const form = `${args.join(', ')}${variadic === true ? ' …' : ''}`
    if (!entry.args.includes(form)) entry.args.push(form)
    entry.about.add(about)
    forms.set(shown, entry)
  }
  const cell = (value: string): string => value.replaceAll('|', '\\|')
  const line = ([name, { args, about }]: [string, { args: string[]; about: Set<string> }]): string => {
    const some = args.length > 6 ? `${args.slice(0, 5).join('; ')}; …` : args.join('; ')
    return `| \`${cell(name)}\` | ${cell(some)} | ${cell([...about].join('. '))} |`
  }
  const sorted = [...forms].toSorted(([a], [b]) => (a < b ? -1 : 1))
  const words = sorted.filter(([name]) => /^[a-z]/.test(name))
  const symbols = sorted.filter(([name]) => !/^[a-z]/.test(name))
  const head = '| name | arguments | gives |\n| --- | --- | --- |'
  return `${head}\n${[...words, ...symbols].map(line).join('\n')}`
}
/** Alignment is the formatter's. */
const plain = (markdown: string): string =>
  markdown
    .split('\n')
    .filter((line) => !/^[|\s:-]*$/.test(line))
    .map((line) => line.replace(/\s+/g, ' ').trim())
    .join('\n')

test('the reference lists the functions of the table', () => {
  const from = text.indexOf(begin) + begin.length
  const to = text.indexOf(end)
  assert.ok(from > 0 && to > from)
  if (process.env['UPDATE_GOLDEN'] === '1')
    writeFileSync(path, `${text.slice(0, from)}\n\n${table()}\n\n${text.slice(to)}`)
  else assert.equal(plain(text.slice(from, to)), plain(table()))
})
test('the reference names every aggregate and option', () => {
  for (const name of [
    ...Object.keys(relationOptions),
    ...Object.keys(viewOptions).filter((option) => option !== 'topic'),
  ])
    assert.match(text, new RegExp(`\\| \`${name}\``), name)
  for (const name of aggregateNames)
    assert.ok(text.includes(name.replace('stddev_samp', 'stddev[_samp]')) || text.includes(name), name)
})
test('the table has at least 60 functions', () => {
  assert.ok([...functions.names()].filter((name) => /^[a-z]/.test(name)).length >= 60)
})
