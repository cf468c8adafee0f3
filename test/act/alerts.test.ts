import type { Webhook as WebhookRule } from '../../src/sql/alert.ts'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Webhook } from 'standardwebhooks'
import type { FiredAlert } from '../../src/act/alerts.ts'
import { openAlerts } from '../../src/act/open.ts'
import { silent } from '../../src/lib/logger.ts'
import type { HttpRequest } from '../../src/lib/world.ts'
import { openCommits } from '../../src/log/commits.ts'
import { type Simulation, simulate } from '../../src/lib/sim/world.ts'
import { type Started, Rules, makeViewTopic, planned, readAll, row, secret, start, text, writeRows } from './fixture.ts'

const hook = { kind: 'webhook', url: 'https://hooks.example/a', secret } as const
const address = '93.184.215.14'
const startMs = 1_700_000_000_000

/** A receiver at hooks.example; `answer` says how it answers, with a status for each request. */
function receiver(
  machine: Simulation,
  answer: (request: HttpRequest, count: number) => number = () => 200,
): HttpRequest[] {
  const got: HttpRequest[] = []
  machine.net.names.set('hooks.example', [address])
  machine.net.serveHttp({ host: address, port: 443 }, (request) => {
    got.push(request)
    return { status: answer(request, got.length), headers: {}, body: Buffer.from('why not') }
  })
  return got
}
async function running(machine: Simulation, rules: Rules): Promise<Started> {
  const run = await start(machine, rules)
  for (const { rule } of rules.current) await makeViewTopic(run.log, rule.name)
  return run
}
const bodyOf = (request: HttpRequest) => JSON.parse(text(request.body))

test('a row that arrives fires, one that is withdrawn does not', async () => {
  const machine = simulate(1)
  await machine.run(async () => {
    const rules = new Rules(
      planned('low', [{ kind: 'console' }], { message: ['only ', { column: 1 }, ' of ', { column: 0 }] }),
    )
    const { log, alerts, close } = await running(machine, rules)
    const seen: FiredAlert[] = []
    const stop = new AbortController()
    const watching = (async () => {
      for await (const one of alerts.watch(stop.signal)) seen.push(one)
    })()
    await writeRows(log, 'low', startMs, [
      row('a', 3),
      { item: 'b', row: null },
      row('c', 12345678901234567890n),
      { ...row('d', 1), weight: -1 },
    ])
    await machine.clock.sleep(200)
    assert.deepEqual(
      seen.map(({ key }) => key),
      ['a', 'c'],
    )
    const [fired] = seen
    assert.equal(fired!.message, 'only 3 of a')
    assert.deepEqual(fired!.row, { item: 'a', stock: 3 })
    assert.equal(fired!.firedAt, new Date(startMs).toISOString())
    assert.deepEqual(fired!.deliveries, [{ destination: 'console', status: 'delivered', attempts: 1, error: null }])
    assert.deepEqual(
      (await alerts.fired()).map(({ key }) => key),
      ['c', 'a'],
      'newest first',
    )
    assert.deepEqual(await alerts.fired({ alert: 'other' }), [])
    assert.ok(
      (await readAll(log, '_millrace_alerts')).some(({ value }) => text(value).includes('12345678901234567890')),
    )
    const [info] = alerts.list()
    assert.equal(info!.fired, 2)
    assert.doesNotMatch(info!.sql, /MfKQ/, 'secrets are not shown')
    stop.abort()
    await watching
    await close()
  })
})

test('a key fires once in its time, whatever batches it comes in, also over a restart', async () => {
  const machine = simulate(2)
  const rules = new Rules(planned('low', [{ kind: 'console' }], { everyMs: 60_000 }))
  const run = await machine.run(() => running(machine, rules))
  await machine.run(async () => {
    await writeRows(run.log, 'low', startMs, [row('a', 9), row('a', 8), row('b', 1)])
    await writeRows(run.log, 'low', startMs + 30_000, [row('a', 7)])
    await machine.clock.sleep(200)
    assert.deepEqual(
      (await run.alerts.fired()).map(({ key }) => key),
      ['b', 'a'],
    )
    assert.equal(run.alerts.list()[0]!.suppressed, 2)
  })
  machine.kill()
  const again = await machine.run(() => start(machine, rules))
  await machine.run(async () => {
    await writeRows(again.log, 'low', startMs + 59_999, [row('a', 6)])
    await writeRows(again.log, 'low', startMs + 60_000, [row('a', 5), row('b', 5)])
    await machine.clock.sleep(200)
    const fired = await again.alerts.fired()
    assert.deepEqual(
      fired.map(({ key, row: at }) => [key, at['stock']]),
      [
        ['b', 5],
        ['a', 5],
        ['b', 1],
        ['a', 9],
      ],
    )
    assert.equal(again.alerts.list()[0]!.fired, 4)
    await again.close()
  })
})

test('of two on one log one fires and one delivers, both show it, and either goes on alone', async () => {
  const machine = simulate(17)
  await machine.run(async () => {
    const got = receiver(machine)
    const rules = new Rules(planned('low', [hook], { everyMs: 60_000 }))
    const { log, alerts: first, close } = await running(machine, rules)
    const commits = openCommits(await log.owner(), machine.clock)
    const second = openAlerts({ world: machine, log, commits, rules, logger: silent })
    await second.ready
    const fired = async () =>
      (await Promise.all([first.fired(), second.fired()])).map((all) => all.map(({ key }) => key))
    await machine.clock.sleep(500)
    await writeRows(log, 'low', startMs, [row('a', 9), row('b', 9)])
    await machine.clock.sleep(500)
    assert.deepEqual(await fired(), [
      ['b', 'a'],
      ['b', 'a'],
    ])
    assert.deepEqual(
      [first, second].map((one) => one.list()[0]!.fired),
      [2, 2],
    )
    assert.deepEqual(got.map((request) => bodyOf(request).data.key).sort(), ['a', 'b'])
    await first.close()
    await machine.clock.sleep(500)
    // What the other one fired holds for this one too.
    await writeRows(log, 'low', startMs + 30_000, [row('a', 8), row('c', 8)])
    await machine.clock.sleep(500)
    assert.deepEqual(
      (await second.fired()).map(({ key, deliveries }) => [key, deliveries[0]!.status]),
      [
        ['c', 'delivered'],
        ['b', 'delivered'],
        ['a', 'delivered'],
      ],
    )
    assert.equal(got.length, 3)
    await second.close()
    await commits.close()
    await close()
  })
})

test('a webhook is signed as Standard Webhooks has it', async () => {
  const machine = simulate(3, { startMs: Date.now() })
  await machine.run(async () => {
    const got = receiver(machine)
    const { log, alerts, close } = await running(machine, new Rules(planned('low', [hook])))
    await writeRows(log, 'low', machine.clock.now(), [row('ä', 12345678901234567890n)])
    await machine.clock.sleep(500)
    assert.equal(got.length, 1)
    const [request] = got as [HttpRequest]
    assert.equal(request.url, hook.url)
    const verified = new Webhook(secret).verify(text(request.body), request.headers) as {
      type: string
      data: { key: string; id: string }
    }
    assert.equal(verified.type, 'alert.fired')
    assert.equal(verified.data.key, 'ä')
    assert.equal(request.headers['webhook-id'], verified.data.id)
    assert.ok(text(request.body).includes('"row":{"item":"ä","stock":12345678901234567890}'), 'no digit is lost')
    const [fired] = await alerts.fired()
    assert.deepEqual(fired!.deliveries, [{ destination: hook.url, status: 'delivered', attempts: 1, error: null }])
    await close()
  })
})

test('a receiver that fails is tried again, ever later, with the same id; then it is given up', async () => {
  const machine = simulate(4)
  await machine.run(async () => {
    const times: number[] = []
    const got = receiver(machine, () => {
      times.push(machine.clock.now())
      return 503
    })
    const { log, alerts, close } = await running(machine, new Rules(planned('low', [hook])))
    await writeRows(log, 'low', startMs, [row('a', 1)])
    await machine.clock.sleep(4 * 3_600_000)
    assert.equal(got.length, 8)
    assert.equal(new Set(got.map(({ headers }) => headers['webhook-id'])).size, 1)
    const waits = times.slice(1).map((at, i) => at - times[i]!)
    waits.forEach((wait, i) => {
      const step = Math.min(3_600_000, 1_000 * 4 ** i)
      assert.ok(wait >= step * 0.75 && wait <= step * 1.25 + 100, `wait ${i}: ${wait}`)
    })
    const [fired] = await alerts.fired()
    assert.equal(fired!.deliveries[0]!.status, 'dead')
    assert.equal(fired!.deliveries[0]!.attempts, 8)
    assert.match(fired!.deliveries[0]!.error!, /answered 503: why not/)
    assert.equal(alerts.list()[0]!.deliveryFailures, 8)
    const [dead, ...more] = await readAll(log, 'low.dlq')
    assert.equal(more.length, 0)
    const headers = Object.fromEntries(dead!.headers.map(([name, value]) => [name, text(value)]))
    assert.equal(headers['mr-reason'], 'act.delivery-failed')
    assert.equal(headers['mr-attempts'], '8')
    assert.match(headers['mr-error']!, /in 8 attempts: it answered 503/)
    assert.ok('mr-origin' in headers)
    assert.equal(text(dead!.key), 'a')
    assert.deepEqual(JSON.parse(text(dead!.value)), bodyOf(got[0]!))
    await close()
  })
})

test('a receiver that comes back gets what waited; one that is gone for good (410) is not asked again', async () => {
  const machine = simulate(5)
  await machine.run(async () => {
    const got = receiver(machine, (_, count) => (count < 3 ? 500 : 200))
    const gone: number[] = []
    machine.net.names.set('gone.example', ['93.184.215.15'])
    machine.net.serveHttp({ host: '93.184.215.15', port: 443 }, () => {
      gone.push(1)
      return { status: 410, headers: {}, body: Buffer.alloc(0) }
    })
    const rules = new Rules(
      planned('low', [hook, { kind: 'webhook', url: 'https://gone.example/', secret: null }, { kind: 'log' }]),
    )
    const { log, alerts, close } = await running(machine, rules)
    await writeRows(log, 'low', startMs, [row('a', 1)])
    await machine.clock.sleep(60_000)
    const [fired] = await alerts.fired()
    assert.deepEqual(
      fired!.deliveries.map(({ status, attempts }) => [status, attempts]),
      [
        ['delivered', 3],
        ['dead', 1],
        ['delivered', 1],
      ],
    )
    assert.equal(got.length, 3)
    assert.equal(gone.length, 1)
    await close()
  })
})

test('Retry-After is heeded, a receiver that never answers is left, redirects are not followed', async () => {
  const machine = simulate(6)
  await machine.run(async () => {
    const times: number[] = []
    machine.net.names.set('hooks.example', [address])
    machine.net.serveHttp({ host: address, port: 443 }, async () => {
      times.push(machine.clock.now())
      if (times.length === 1) return { status: 429, headers: { 'retry-after': '120' }, body: Buffer.alloc(0) }
      if (times.length === 2)
        return { status: 302, headers: { location: 'http://169.254.169.254/' }, body: Buffer.alloc(0) }
      return { status: 200, headers: {}, body: Buffer.alloc(0) }
    })
    const { log, alerts, close } = await running(machine, new Rules(planned('low', [hook])))
    await writeRows(log, 'low', startMs, [row('a', 1)])
    await machine.clock.sleep(600_000)
    assert.ok(times[1]! - times[0]! >= 120_000)
    assert.equal((await alerts.fired())[0]!.deliveries[0]!.status, 'delivered')
    assert.equal(times.length, 3)
    await close()
  })
})

const policied = (more: Partial<WebhookRule>): Rules => new Rules(planned('low', [{ ...hook, ...more }]))
test('a delivery is tried for as long as its destination says, however often that is, and not longer', async () => {
  const machine = simulate(21)
  await machine.run(async () => {
    const times: number[] = []
    receiver(machine, () => {
      times.push(machine.clock.now())
      return 503
    })
    const { log, alerts, close } = await running(machine, policied({ retryForMs: 24 * 3_600_000 }))
    const beganMs = machine.clock.now()
    await writeRows(log, 'low', beganMs, [row('a', 1)])
    await machine.clock.sleep(30 * 3_600_000)
    const spent = times.at(-1)! - beganMs
    assert.ok(spent >= 24 * 3_600_000 && spent < 24 * 3_600_000 + 20_000, `the last attempt after ${spent} ms`)
    // Six within the first half hour, then each hour.
    assert.ok(times.length > 22 && times.length < 40, `${times.length} attempts`)
    const { status, attempts } = (await alerts.fired())[0]!.deliveries[0]!
    assert.deepEqual([status, attempts], ['dead', times.length])
    await close()
  })
})
test('a destination may have fewer attempts, headers of its own, and two secrets while receivers change theirs', async () => {
  const machine = simulate(22)
  await machine.run(async () => {
    const got = receiver(machine, () => 500)
    const previousSecret = `whsec_${Buffer.alloc(24, 7).toString('base64')}`
    const rules = policied({ attempts: 2, previousSecret, headers: { authorization: 'Bearer t', 'x-team': 'shop' } })
    const { log, alerts, close } = await running(machine, rules)
    await writeRows(log, 'low', machine.clock.now(), [row('a', 1)])
    await machine.clock.sleep(3_600_000)
    assert.equal(got.length, 2)
    assert.equal((await alerts.fired())[0]!.deliveries[0]!.status, 'dead')
    const [{ headers, body }] = got as [HttpRequest]
    assert.deepEqual([headers['authorization'], headers['x-team']], ['Bearer t', 'shop'])
    const now = Math.floor(Date.now() / 1000)
    const signatures = headers['webhook-signature']!.split(' ')
    assert.equal(signatures.length, 2)
    for (const [i, one] of [secret, previousSecret].entries())
      assert.equal(
        new Webhook(one).sign(
          headers['webhook-id']!,
          new Date(Number(headers['webhook-timestamp']) * 1000),
          text(body),
        ),
        signatures[i],
        `signature ${i} at ${now}`,
      )
    await close()
  })
})
test('a receiver that is to be asked first gets nothing until it has agreed, and is asked again after it failed', async () => {
  const machine = simulate(23)
  await machine.run(async () => {
    const seen: string[] = []
    let allowed = ''
    let status = 200
    machine.net.names.set('hooks.example', [address])
    machine.net.serveHttp({ host: address, port: 443 }, (request) => {
      seen.push(request.method)
      if (request.method === 'OPTIONS') {
        assert.equal(request.headers['webhook-request-origin'], 'shop.example')
        const headers: Record<string, string> = allowed === '' ? {} : { 'webhook-allowed-origin': allowed }
        return { status: 200, headers, body: Buffer.alloc(0) }
      }
      return { status, headers: {}, body: Buffer.alloc(0) }
    })
    const { log, alerts, close } = await running(machine, policied({ handshake: 'shop.example' }))
    await writeRows(log, 'low', machine.clock.now(), [row('a', 1)])
    await machine.clock.sleep(3_000)
    assert.deepEqual(new Set(seen), new Set(['OPTIONS']))
    assert.match((await alerts.fired())[0]!.deliveries[0]!.error!, /did not agree to deliveries from shop.example/)
    allowed = 'Shop.Example'
    await machine.clock.sleep(120_000)
    assert.equal((await alerts.fired())[0]!.deliveries[0]!.status, 'delivered')
    seen.length = 0
    await writeRows(log, 'low', machine.clock.now(), [row('b', 1)])
    await machine.clock.sleep(3_000)
    assert.deepEqual(seen, ['POST'])
    status = 500
    await writeRows(log, 'low', machine.clock.now(), [row('c', 1)])
    await machine.clock.sleep(1_900)
    status = 200
    await machine.clock.sleep(120_000)
    assert.deepEqual(seen.slice(0, 4), ['POST', 'POST', 'OPTIONS', 'POST'])
    await close()
  })
})
test('one dead receiver does not hold up the others', async () => {
  const machine = simulate(7)
  await machine.run(async () => {
    const got = receiver(machine)
    const slow: number[] = []
    machine.net.names.set('slow.example', ['93.184.215.16'])
    machine.net.serveHttp({ host: '93.184.215.16', port: 443 }, async () => {
      slow.push(1)
      await machine.clock.sleep(3_600_000)
      return { status: 200, headers: {}, body: Buffer.alloc(0) }
    })
    const rules = new Rules(
      planned('slow', [{ kind: 'webhook', url: 'https://slow.example/', secret: null }]),
      planned('low', [hook]),
    )
    const { log, close } = await running(machine, rules)
    await writeRows(
      log,
      'slow',
      startMs,
      Array.from({ length: 50 }, (_, i) => row(`s${i}`, i)),
    )
    await writeRows(
      log,
      'low',
      startMs,
      Array.from({ length: 50 }, (_, i) => row(`k${i}`, i)),
    )
    await machine.clock.sleep(2_000)
    assert.equal(got.length, 50)
    assert.equal(slow.length, 4)
    await close()
  })
})

test('a rule that is dropped or changed stops what it did; what waited is given up with that reason', async () => {
  const machine = simulate(8)
  await machine.run(async () => {
    const got = receiver(machine, () => 500)
    const rules = new Rules(planned('low', [hook]))
    const { log, alerts, close } = await running(machine, rules)
    await writeRows(log, 'low', startMs, [row('a', 1)])
    await machine.clock.sleep(500)
    rules.set()
    await writeRows(log, 'low', startMs, [row('b', 1)])
    await machine.clock.sleep(60_000)
    assert.equal(got.length, 1)
    assert.deepEqual(alerts.list(), [])
    const fired = await alerts.fired()
    assert.equal(fired.length, 1)
    assert.match(fired[0]!.deliveries[0]!.error!, /dropped/)
    rules.set(planned('low', [{ kind: 'console' }]))
    await machine.clock.sleep(500)
    assert.deepEqual(
      (await alerts.fired()).map(({ key }) => key),
      ['b', 'a'],
      'goes on where it was',
    )
    await close()
  })
})

for (const seed of [21, 22, 23, 24, 25, 26])
  test(`each row fires exactly once and is delivered at least once, however often the machine dies (seed ${seed})`, async () => {
    const machine = simulate(seed)
    const rules = new Rules(planned('low', [hook, { kind: 'console' }]))
    const ids: string[] = []
    const serve = (): void => {
      machine.net.serveHttp({ host: address, port: 443 }, (request) => {
        if (machine.random.fraction() < 0.4) return { status: 500, headers: {}, body: Buffer.alloc(0) }
        ids.push(`${request.headers['webhook-id']} ${bodyOf(request).data.key}`)
        return { status: 200, headers: {}, body: Buffer.alloc(0) }
      })
    }
    machine.net.names.set('hooks.example', [address])
    serve()
    let run = await machine.run(() => running(machine, rules))
    const acked: string[] = []
    let next = 0
    for (let life = 0; life < 8; life++) {
      for (let step = 0; step < 5; step++) {
        const items = Array.from({ length: 3 }, () => `k${next++}`)
        writeRows(
          run.log,
          'low',
          machine.clock.now(),
          items.map((item) => row(item, 1)),
        ).then(
          (ok) => ok && acked.push(...items),
          () => undefined,
        )
        await machine.advance(machine.random.fraction() * 20)
      }
      if (machine.random.fraction() < 0.5) machine.kill()
      else machine.powerCut()
      serve()
      run = await machine.run(() => start(machine, rules))
    }
    await machine.run(async () => {
      await machine.clock.sleep(3 * 3_600_000)
      const inView = (await readAll(run.log, '_millrace_alert.low')).map(({ key }) => text(key))
      for (const item of acked) assert.ok(inView.includes(item))
      const fired = (await readAll(run.log, '_millrace_alerts')).filter(({ key }) => !text(key).includes('/'))
      assert.deepEqual(
        fired.map(({ value }) => JSON.parse(text(value)).key),
        inView,
        'once each, in order',
      )
      const delivered = new Set(ids)
      const dead = new Set((await readAll(run.log, 'low.dlq')).map(({ key }) => text(key)))
      for (const record of fired) {
        const { key } = JSON.parse(text(record.value))
        assert.ok(delivered.has(`${text(record.key)} ${key}`) || dead.has(key), key)
      }
      assert.equal(run.alerts.list()[0]!.fired, inView.length)
      for (const { deliveries } of await run.alerts.fired({ limit: 1_000 }))
        assert.ok(deliveries.every(({ status }) => status !== 'pending'))
      await run.close()
    })
  })
