import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadPackage } from '../../src/connect/packages.ts'
import { importPackage } from '../../src/node/packages.ts'

test('a package that is not installed is a fault that says how to install it', async () => {
  await assert.rejects(loadPackage(importPackage, '@millrace/there-is-none', '1.2.3'), {
    code: 'connect.missing-package',
    message: /cannot be loaded \(it is not installed\): npm install @millrace\/there-is-none@1\.2\.3$/,
  })
})
test('one that is there is what it exports', async () => {
  const { Ajv } = await loadPackage<{ Ajv: unknown }>(importPackage, 'ajv', '8')
  assert.equal(typeof Ajv, 'function')
})
