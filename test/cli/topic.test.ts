/** `millrace topic` against a running Millrace. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { silent } from '../../src/lib/logger.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { resolveConfig } from '../../src/node/config.ts'
import { startMillrace } from '../../src/node/millrace.ts'
import { millraceAt } from './run.ts'

test('topic create changes no topic that is there', async (t) => {
  const { config } = resolveConfig({ data: ':memory:', listen: ['http=127.0.0.1:0', 'kafka=off'] }, {}, {})
  const running = await startMillrace({ config, world: realWorld(), logger: silent })
  t.after(() => running.close())
  const millrace = millraceAt(running.listening().http!)
  assert.equal((await millrace('topic', 'create', 'orders', '--config', 'retention.ms=1000')).code, 0)
  const again = await millrace('topic', 'create', 'orders', '--partitions', '3', '--config', 'retention.ms=7')
  assert.deepEqual([again.code, again.stderr.split('\n')[0]], [6, 'millrace: topic orders already exists'])
  const shown = JSON.parse((await millrace('topic', 'show', 'orders', '-o', 'json')).stdout) as Record<string, unknown>
  assert.deepEqual([shown['partitions'], shown['retentionMs']], [1, 1000])
})
