import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { test } from 'node:test'

/** Lowest first: a folder imports from its own row or from rows above it in this list. */
const layers = [
  ['lib'],
  ['wire'],
  ['store'],
  ['telemetry'],
  ['log'],
  ['schema'],
  ['flow'],
  ['sql'],
  ['dsl'],
  ['query'],
  ['act'],
  ['connect'],
  ['security'],
  ['gateway'],
  ['node'],
  ['cli'],
]
/** Folders whose sub-folders never import each other. */
const strangers = ['gateway', 'connect', 'flow/operators']

const importLine = /(?:^|\n)\s*(?:import|export)\b[^'";]*?from\s*['"](\.[^'"]+)['"]/g
const rowOf = (folder: string): number => layers.findIndex((row) => row.includes(folder))

function imports(): { file: string; target: string }[] {
  const found: { file: string; target: string }[] = []
  for (const file of globSync('src/**/*.ts'))
    for (const match of readFileSync(file, 'utf8').matchAll(importLine))
      found.push({ file, target: normalize(join(dirname(file), match[1]!)) })
  assert.ok(found.length > 20, 'hardly any import was read: the test reads the wrong folder')
  return found
}

test('imports point to lower layers only', () => {
  const wrong: string[] = []
  for (const { file, target } of imports()) {
    const from = file.split('/')[1]!
    const to = target.split('/')[1]!
    if (from.endsWith('.ts') || from === to) continue
    assert.ok(rowOf(from) >= 0, `${file}: the folder ${from} is in no layer`)
    if (to.endsWith('.ts') || rowOf(to) < 0 || rowOf(to) > rowOf(from)) wrong.push(`${file} -> ${target}`)
  }
  assert.deepEqual(wrong, [])
})

test('sources import nothing from outside src', () => {
  const wrong = imports().filter(({ target }) => !target.startsWith('src/') && target !== 'package.json')
  assert.deepEqual(wrong, [])
})

test('siblings in gateway, connect and flow/operators do not know each other', () => {
  const wrong: string[] = []
  for (const { file, target } of imports())
    for (const folder of strangers) {
      const inside = `src/${folder}/`
      if (!file.startsWith(inside) || !target.startsWith(inside)) continue
      const [a] = file.slice(inside.length).split('/')
      const [b] = target.slice(inside.length).split('/')
      // A file straight in the folder is what the siblings share.
      if (a !== b && !a!.endsWith('.ts') && !b!.endsWith('.ts')) wrong.push(`${file} -> ${target}`)
    }
  assert.deepEqual(wrong, [])
})

test('relative imports end in .ts', () => {
  assert.deepEqual(
    imports().filter(({ target }) => !/\.(ts|json)$/.test(target)),
    [],
  )
})
