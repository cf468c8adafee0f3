import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { resolve } from 'node:path'
import { test } from 'node:test'

const program = `
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
  const cwd = resolve(import.meta.dirname, '../..')
  const said = execFileSync(process.execPath, ['--input-type=module', '--eval', program], { cwd, encoding: 'utf8' })
  const { urls, builtins } = JSON.parse(said) as { urls: string[]; builtins: string[] }
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
