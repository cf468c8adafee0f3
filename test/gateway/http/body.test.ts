import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { Body, Intake } from '../../../src/gateway/http/body.ts'

function gzipped(bytes: Uint8Array): Body {
  async function* pieces(): AsyncIterable<Uint8Array> {
    yield gzipSync(bytes)
  }
  return new Body({ pieces, length: null, encoding: 'gzip' }, new Intake())
}

test('nobody waits: a few bytes that unpack to very many lines are not unpacked any further', async () => {
  const body = gzipped(Buffer.alloc(64 * 1024 * 1024, ' \n'))
  const gone = new AbortController()
  const reason = new Error('the client is gone')
  setImmediate(() => gone.abort(reason))
  await assert.rejects(async () => {
    for await (const lines of body.lines(gone.signal)) assert.deepEqual(lines, [])
  }, reason)
})
test('empty lines cost next to nothing, and those between them are found', async () => {
  const body = gzipped(Buffer.from(`\n\n1\n${'\n'.repeat(50_000_000)}2\n\r\n\n3\n\n4`))
  const found: string[] = []
  for await (const lines of body.lines(new AbortController().signal))
    for (const line of lines) {
      assert.ok(line instanceof Uint8Array)
      found.push(Buffer.from(line).toString())
    }
  assert.deepEqual(found, ['1', '2', '3', '4'])
})
