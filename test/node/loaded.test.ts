import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'

const cwd = resolve(import.meta.dirname, '../..')
const said = (program: string, ...words: string[]): unknown =>
  JSON.parse(
    execFileSync(process.execPath, ['--input-type=module', '--eval', program, ...words], { cwd, encoding: 'utf8' }),
  )

const loads = `
import { registerHooks } from 'node:module'
const urls = []
registerHooks({
  load(url, context, next) {
    urls.push(url)
    return next(url, context)
  },
})
await import('./src/node/millrace.ts')
console.log(JSON.stringify({ urls, builtins: process.moduleLoadList }))
`

test('a start loads nothing that only some settings need, nor what node:http drags along', () => {
  const { urls, builtins } = said(loads) as { urls: string[]; builtins: string[] }
  assert.ok(urls.some((url) => url.endsWith('/src/log/local/open.ts')))
  const needless = /\/src\/log\/cluster\/|\/node_modules\/(jose|ajv)\//
  assert.deepEqual(
    urls.filter((url) => needless.test(url)),
    [],
  )
  assert.deepEqual(
    builtins.filter((name) => name.includes('undici')),
    [],
  )
})

const resolves = `
import { registerHooks } from 'node:module'
const asked = []
registerHooks({
  resolve(specifier, context, next) {
    if (specifier.startsWith('.')) asked.push(specifier)
    return next(specifier, context)
  },
})
const { prepareLoading } = await import('./src/node/loading.ts')
prepareLoading()
asked.length = 0
await import(process.cwd() + '/src/cli/run.ts')
const project = await import(process.argv[1])
const missing = await import(process.cwd() + '/test/fixtures/../../src/nowhere.ts').catch((error) => error.code)
console.log(JSON.stringify({ asked, answer: project.answer, missing }))
`

test("the program's own modules are found by their names alone, a project's as ever", (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-loading-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(join(folder, 'main.ts'), "export { answer } from './part.ts'\n")
  writeFileSync(join(folder, 'part.ts'), 'export const answer: number = 42\n')
  const found = said(resolves, join(folder, 'main.ts'))
  assert.deepEqual(found, { asked: ['./part.ts'], answer: 42, missing: 'ERR_MODULE_NOT_FOUND' })
})
