/** Files of certificates that cannot be used: the start says which, and why. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { Fault } from '../../src/lib/fault.ts'
import { silent } from '../../src/lib/logger.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { TlsWatch } from '../../src/security/tls.ts'
import { authority, temporaryFolder } from './certificates.ts'

test('a certificate and a key that do not fit, or are none, are said by the name of their setting', (t) => {
  const dir = temporaryFolder(t)
  const ca = authority(dir, 'ca')
  const one = ca.issue('one', '/CN=localhost')
  const other = ca.issue('other', '/CN=localhost')
  const garbage = join(dir, 'garbage.pem')
  writeFileSync(garbage, 'no PEM at all\n')
  const start = (files: { cert?: string; key?: string; clientCa?: string }): Fault | null => {
    const wanted = {
      cert: one.certFile,
      key: one.keyFile,
      clientCa: ca.certFile,
      clientAuth: 'required',
      ...files,
    } as const
    try {
      new TlsWatch(wanted, realWorld(), silent).close()
      return null
    } catch (error) {
      assert(error instanceof Fault, String(error))
      return error
    }
  }
  const refused = (files: Parameters<typeof start>[0], setting: string, why: RegExp): void => {
    const fault = start(files)
    assert.equal(fault?.code, 'config.invalid')
    assert.equal((fault.facts as { setting: string }).setting, setting)
    assert.match(fault.message, why)
  }
  assert.equal(start({}), null)
  refused({ key: other.keyFile }, 'tlsKey', /it is not the key of .*one/)
  refused({ key: garbage }, 'tlsKey', /it is no key in PEM/)
  refused({ cert: garbage }, 'tlsCert', /it is no certificate in PEM/)
  refused({ cert: one.keyFile }, 'tlsCert', /it is no certificate in PEM/)
  refused({ clientCa: garbage }, 'tlsClientCa', /it is no certificate in PEM/)
  refused({ key: join(dir, 'nowhere') }, 'tlsKey', /it cannot be read/)
})
