import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Scram, ScramFailed } from '../../../src/log/cluster/net/scram.ts'

// The exchange that RFC 7677 prints.
const user = { username: 'user', password: 'pencil' }
const nonce = Buffer.from('rOprNGfwEbeRWgbNEkqO', 'base64')
const serverFirst = 'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096'

test('SCRAM-SHA-256 says what the RFC says', async () => {
  const scram = new Scram('SCRAM-SHA-256', user, nonce)
  assert.equal(scram.first(), 'n,,n=user,r=rOprNGfwEbeRWgbNEkqO')
  assert.equal(
    await scram.proof(serverFirst),
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=',
  )
  scram.finish('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')
})

test('a server that does not know the password, or plays with the exchange, is not believed', async () => {
  const begun = (): Scram => new Scram('SCRAM-SHA-256', user, nonce)
  const refused = (text: string): Promise<void> => assert.rejects(begun().proof(text), ScramFailed)
  await refused(serverFirst.replace('r=rO', 'r=xO'))
  await refused('r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096')
  await refused(serverFirst.replace('i=4096', 'i=100'))
  await refused(serverFirst.replace('i=4096', 'i=99999999'))
  await refused(serverFirst.replace(/,s=[^,]*/, ''))
  const scram = begun()
  await scram.proof(serverFirst)
  assert.throws(() => scram.finish(`v=${Buffer.alloc(32).toString('base64')}`), ScramFailed)
  assert.throws(() => scram.finish('e=invalid-proof'), /invalid-proof/)
  assert.throws(() => begun().finish('v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4='), ScramFailed)
})

test('a name with the signs of the protocol is escaped', () => {
  assert.match(new Scram('SCRAM-SHA-512', { username: 'a=b,c', password: 'x' }, nonce).first(), /^n,,n=a=3Db=2Cc,r=/)
})
