/**
 * Golden files: SQL texts with the plan, or the error, that they give. A file holds cases separated by lines of `----`: the
 * text, a line `=>`, the outcome. UPDATE_GOLDEN=1 writes what is now; look at the difference before you keep it.
 */
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { SqlFault } from '../../src/sql/fault.ts'
import { explainView } from '../../src/sql/plan/explain.ts'
import { plan, shopRelations } from './fixture.ts'

const folder = join(import.meta.dirname, 'golden')
const update = process.env['UPDATE_GOLDEN'] === '1'

function outcome(text: string): string {
  try {
    const { views, alerts, relations } = plan(text, shopRelations)
    const rules = alerts.map(({ rule }) => JSON.stringify({ ...rule, sql: undefined }, null, 2))
    const made = relations.slice(shopRelations.length).flatMap(({ kind, source, declared, key, appendOnly }) =>
      kind === 'view'
        ? []
        : [
            JSON.stringify({
              kind,
              topic: source.topic,
              mode: source.mode,
              key,
              appendOnly,
              time: source.time,
              onInvalid: source.onInvalid,
              columns: source.columns.slice(0, declared),
            }),
          ],
    )
    return [...made, ...views.flatMap(explainView), ...alerts.flatMap(({ view }) => explainView(view)), ...rules].join(
      '\n',
    )
  } catch (error) {
    if (!(error instanceof SqlFault)) throw error
    const expected = error.facts.expected === undefined ? '' : `\nEXPECTED: ${error.facts.expected.join(', ')}`
    return `ERROR ${error.sqlstate}: ${error.message}\n${error.excerpt}\nHINT: ${error.hint}${expected}`
  }
}

const files = readdirSync(folder).filter((name) => name.endsWith('.sql'))
test('there are golden files', () => assert.ok(files.length >= 6, files.join()))
for (const file of files) {
  const path = join(folder, file)
  const cases = readFileSync(path, 'utf8')
    .split(/^----\n/m)
    .map((part) => part.split(/^=>\n/m))
    .map(([text = '', expected = '']) => ({ text: text.trim(), expected: expected.trimEnd() }))
    .filter(({ text }) => text !== '')
  if (update) writeFileSync(path, cases.map(({ text }) => `${text}\n=>\n${outcome(text)}\n`).join('----\n'))
  else
    describe(file, () => {
      for (const { text, expected } of cases) test(text.split('\n')[0]!, () => assert.equal(outcome(text), expected))
    })
}
