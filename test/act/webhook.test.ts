import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import { checkTarget, refusal, webhookRules } from '../../src/act/addresses.ts'
import { attempt, signer } from '../../src/act/webhook.ts'
import { Fault } from '../../src/lib/fault.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import type { Net, World } from '../../src/lib/world.ts'
import { simulate } from '../../src/lib/sim/world.ts'
import { Rules, makeViewTopic, planned, row, secret, start, writeRows } from './fixture.ts'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'

interface Got {
  readonly headers: Record<string, string>
  readonly body: string
}
async function receiver(t: TestContext, status = 200): Promise<{ url: string; port: number; got: Got[] }> {
  const got: Got[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (part) => (body += String(part)))
    request.on('end', () => {
      got.push({ headers: request.headers as Record<string, string>, body })
      response
        .writeHead(status, { location: `http://127.0.0.1:${(server.address() as AddressInfo).port}/again` })
        .end('x'.repeat(100_000))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}/hook?token=t`, port, got }
}
const strict = webhookRules([], false)
const never = new AbortController().signal
const message = (url: string) => ({ url, secrets: [secret], id: 'a-1', payload: '{"a":1}' })

test('a real receiver gets what it can verify', async (t) => {
  const { url, got } = await receiver(t)
  const world: World = { ...realWorld(), disk: memoryDisk() }
  const { log, alerts, close } = await start(world, new Rules(planned('low', [{ kind: 'webhook', url, secret }])), {
    allowLoopback: true,
  })
  t.after(close)
  await makeViewTopic(log, 'low')
  await writeRows(log, 'low', world.clock.now(), [row('a', 1)])
  const end = Date.now() + 5_000
  while ((await alerts.fired())[0]?.deliveries[0]?.status !== 'delivered' && Date.now() < end)
    await world.clock.sleep(10)
  assert.equal(got.length, 1)
  const verified = new Webhook(secret).verify(got[0]!.body, got[0]!.headers) as { data: { alert: string } }
  assert.equal(verified.data.alert, 'low')
  assert.throws(() => new Webhook(secret).verify(got[0]!.body.replace('low', 'high'), got[0]!.headers))
  assert.match((await alerts.fired())[0]!.deliveries[0]!.destination, /\/hook\?…$/, 'the query may hold a secret')
})

test('an attempt never follows a redirect and never reads more of an answer than it keeps', async (t) => {
  const { url, got } = await receiver(t, 307)
  const result = await attempt(message(url), realWorld(), webhookRules([], true), never)
  assert.ok(!result.ok && !result.permanent)
  assert.match(result.why, /answered 307/)
  assert.ok(result.why.length < 300)
  assert.equal(got.length, 1)
})

test('secrets: base64 with and without its prefix is the key it encodes, other text the key itself', () => {
  const at = new Date(1_700_000_000_000)
  const signed = new Webhook(secret).sign('id', at, 'x')
  assert.equal(signer(secret).sign('id', at, 'x'), signed)
  assert.equal(signer(secret.slice(6)).sign('id', at, 'x'), signed)
  assert.equal(
    signer('not base64!').sign('id', at, 'x'),
    new Webhook(Buffer.from('not base64!'), { format: 'raw' }).sign('id', at, 'x'),
  )
})

const privateAddresses = `
  0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.1.2.3 127.255.255.254 169.254.169.254
  169.254.0.1 169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.31.196.1 192.52.193.1
  192.88.99.1 192.168.0.1 192.168.255.255 192.175.48.1 198.18.0.1 198.19.255.255 198.51.100.7 203.0.113.9 224.0.0.1
  239.255.255.250 240.0.0.1 255.255.255.255 :: ::1 ::2 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::ffff:10.0.0.1
  ::ffff:169.254.169.254 ::ffff:a9fe:a9fe ::ffff:0:127.0.0.1 64:ff9b::127.0.0.1 64:ff9b::7f00:1 64:ff9b::a9fe:a9fe
  64:ff9b:1::1 100::1 2001::1 2001:0:7f00:1:: 2001:10::1 2001:db8::1 2002:7f00:1:: 2002:a9fe:a9fe::1 3fff::1 5f00::1
  fc00::1 fd00:ec2::254 fdff::1 fe80::1 fe80::1%eth0 febf::1 fec0::1 ff02::1 ff0e::1 4000::1 0:0:0:0:0:0:0:1
  0000:0000:0000:0000:0000:ffff:127.0.0.1 2620:4f:8000::1`
  .trim()
  .split(/\s+/)
const publicAddresses = [
  '93.184.215.14',
  '1.1.1.1',
  '8.8.8.8',
  '100.63.255.255',
  '100.128.0.1',
  '172.15.255.255',
  '172.32.0.1',
  '169.253.1.1',
  '11.0.0.1',
  '2606:4700:4700::1111',
  '2a00:1450::1',
  '::ffff:8.8.8.8',
  '64:ff9b::808:808',
]
const nonsense = [
  '',
  '1',
  '1.2.3',
  '1.2.3.4.5',
  '01.2.3.4',
  '256.1.1.1',
  '1.2.3.-4',
  '0x7f.0.0.1',
  ':::',
  '1::2::3',
  '12345::',
  'g::',
  '::1.2.3',
  '1:2:3:4:5:6:7',
  '1:2:3:4:5:6:7:8:9',
  'localhost',
  '::ffff:1.2.3.4.5',
]

test('no special address may be reached, every public one may', () => {
  assert.ok(privateAddresses.length >= 60)
  for (const address of [...privateAddresses, ...nonsense]) assert.notEqual(refusal(address, strict), null, address)
  for (const address of publicAddresses) assert.equal(refusal(address, strict), null, address)
})

test('what is allowed by name may be reached, and no more', () => {
  const some = webhookRules(['10.1.0.0/16', 'fd00::/8', '192.168.7.7'], false)
  for (const address of ['10.1.2.3', '::ffff:10.1.2.3', 'fd00::1', '192.168.7.7'])
    assert.equal(refusal(address, some), null, address)
  for (const address of ['10.2.0.1', '127.0.0.1', '::1', 'fe80::1', '192.168.7.8'])
    assert.notEqual(refusal(address, some), null, address)
  const own = webhookRules([], true)
  for (const address of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) assert.equal(refusal(address, own), null, address)
  for (const address of ['10.0.0.1', '169.254.169.254', '0.0.0.0'])
    assert.notEqual(refusal(address, own), null, address)
  for (const wrong of ['10.0.0.0/33', '10.0.0.0/-1', 'x', '10.0.0.0/8/8', '::/129', '10.0.0/8'])
    assert.throws(
      () => webhookRules([wrong], false),
      (error) => error instanceof Fault && error.code === 'config.invalid',
      wrong,
    )
})

/** URLs that mean this machine, its network or a cloud's metadata, written as attackers write them. */
const urls = `
  http://127.0.0.1/ http://127.1/ http://127.0.1/ http://2130706433/ http://0x7f000001/ http://0x7f.1/ http://017700000001/
  http://0177.0.0.1/ http://127.0.0.1.:80/ http://0/ http://0.0.0.0/ http://[::]/ http://[::1]/ http://[0:0:0:0:0:0:0:1]/
  http://[::ffff:127.0.0.1]/ http://[::ffff:7f00:1]/ http://[64:ff9b::7f00:1]/ http://[2002:7f00:1::]/ http://localhost/
  http://LOCALHOST/ http://localhost./ http://169.254.169.254/latest/meta-data/ http://2852039166/ http://0xa9fea9fe/
  http://[::ffff:a9fe:a9fe]/ http://[fd00:ec2::254]/ http://169.254.170.2/ http://192.168.0.1/ http://10.0.0.1/
  http://172.16.0.1/ http://100.64.0.1/ http://[fe80::1]/ http://[fc00::1]/ http://①②⑦.⓪.⓪.①/ http://127。0。0。1/
  https://127.0.0.1/ http://a:b@93.184.215.14/ http://127.0.0.1:80@93.184.215.14/ ftp://93.184.215.14/ file:///etc/passwd
  gopher://127.0.0.1/ data:text/plain,x http://rebind.example/ http://private.example/ http://mixed.example/
  http://metadata.google.internal/ http://six.example/ http://none.example/ http://%31%32%37.0.0.1/ http://0300.0250.0.1/`
  .trim()
  .split(/\s+/)

test('no way of writing it reaches this machine, its network or a metadata service', async () => {
  const machine = simulate(1)
  for (const [name, addresses] of Object.entries({
    localhost: ['127.0.0.1'],
    'localhost.': ['127.0.0.1'],
    'private.example': ['10.9.9.9'],
    'mixed.example': ['93.184.215.14', '192.168.1.1'],
    'metadata.google.internal': ['169.254.169.254'],
    'six.example': ['fe80::1%eth0'],
    'none.example': [],
    'rebind.example': ['127.0.0.1'],
  }))
    machine.net.names.set(name, addresses)
  assert.ok(privateAddresses.length + nonsense.length + urls.length >= 100)
  for (const text of urls) {
    const url = URL.canParse(text) ? new URL(text) : null
    if (url === null) continue
    await assert.rejects(
      checkTarget(url, machine.net, strict),
      (error: unknown) => error instanceof Fault && error.code === 'act.address-refused',
      text,
    )
  }
})

test('a name that changes its meaning after the check changes nothing: the request goes to the checked address', async (t) => {
  const { port, got } = await receiver(t)
  const real = realWorld()
  let asked = 0
  const lying: Net = {
    ...real.net,
    resolve: () => Promise.resolve(asked++ === 0 ? ['203.0.114.1'] : ['127.0.0.1']),
    request: (request, address, signal) => {
      assert.equal(address, '203.0.114.1')
      return real.net.request(request, address, AbortSignal.any([signal, AbortSignal.timeout(200)]))
    },
  }
  const result = await attempt(message(`http://rebind.example:${port}/`), { ...real, net: lying }, strict, never)
  assert.equal(result.ok, false)
  assert.equal(asked, 1, 'looked up once')
  assert.equal(got.length, 0)
})

test('a refused address is final: it is not tried again', async () => {
  const machine = simulate(2)
  await machine.run(async () => {
    const result = await attempt(message('http://169.254.169.254/'), machine, strict, never)
    assert.ok(!result.ok && result.permanent)
    assert.match(result.why, /not on the public internet/)
  })
})
