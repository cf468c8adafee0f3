/**
 * `npm run bench [-- [name] [--quick] [--ours] [--rows TEXT] [--runs N] [--seconds N] [--events N]]`: side-by-side measurements. A JSON line a row on
 * standard output, a table on standard error, every sample in a file. Exit code 1 when a row is missing or below its goal.
 */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { cacheDir, flinkDir, kafkaDir, kinesaliteSuite, need, python } from '../test/interop/setup/index.ts'
import { benchKafka, kafkaRows } from './kafka/index.ts'
import { benchClient, clientRows } from './client.ts'
import { benchConnect, connectRows } from './connect.ts'
import { benchDecode, decodeRows } from './decode.ts'
import { benchDelivery, deliveryRows } from './delivery.ts'
import { benchEventHubs, eventHubsRows } from './eventhubs.ts'
import { benchKinesis, kinesisRows } from './kinesis.ts'
import { benchLatency, latencyRows } from './latency.ts'
import { pstest } from '../test/interop/pubsub/pstest.ts'
import { benchPubsub, pubsubRows } from './pubsub.ts'
import type { PlanOptions } from './kafka/plan.ts'
import { Report, type RowSpec } from './lib/rows.ts'
import { benchMqtt, mqttRows } from './mqtt.ts'
import { type RowsAsked, benchNexmark, nexmarkRows } from './nexmark/index.ts'
import { benchStart, startRows } from './start.ts'
import { benchState, stateRows } from './state.ts'
import { benchSync, syncRows } from './sync.ts'
import { benchViews, viewRows } from './views.ts'

type Plan = PlanOptions & { readonly events: number | null; readonly ours: boolean }

interface Bench {
  readonly says: string
  readonly rows: readonly RowSpec[] | ((asked: RowsAsked) => readonly RowSpec[])
  readonly setUp?: (plan: Plan) => Promise<unknown>
  readonly run: (report: Report, plan: Plan) => Promise<void>
}
const benches: Readonly<Record<string, Bench>> = {
  kafka: {
    says: 'start, memory, produce, consume, latency, many topics and groups beside a real Kafka',
    rows: kafkaRows,
    setUp: () => need('java', 'mvn', 'python3').then(() => Promise.all([kafkaDir(), python()])),
    run: benchKafka,
  },
  pubsub: {
    says: 'publish and streaming pull of the Pub/Sub gateway beside pstest',
    rows: pubsubRows,
    setUp: () => pstest(),
    run: benchPubsub,
  },
  nexmark: {
    says: 'the Nexmark queries beside Apache Flink: events per CPU-second',
    rows: nexmarkRows,
    setUp: ({ ours }) => need('taskset').then(() => (ours ? null : flinkDir())),
    run: benchNexmark,
  },
  sync: {
    says: 'a sync of each file beside one of a journal, on this disk alone',
    rows: syncRows,
    run: (report, { quick }) => benchSync(report, quick),
  },
  start: {
    says: 'start to ready, idle memory, size of the console',
    rows: startRows,
    run: (report, { quick }) => benchStart(report, quick),
  },
  decode: {
    says: "the engine's way in alone: batches of JSON records to columns",
    rows: decodeRows,
    run: (report, { quick, runs }) => benchDecode(report, { quick, runs }),
  },
  delivery: {
    says: 'what exactly-once costs a view beside at-least-once: CPU and latency',
    rows: deliveryRows,
    run: (report, { quick, runs }) => benchDelivery(report, { quick, runs }),
  },
  state: {
    says: "the engine's state alone, from decoded batches, with the changes listed every 20,000 events",
    rows: stateRows,
    run: (report, { quick, runs }) => benchState(report, { quick, runs }),
  },
  client: {
    says: 'what the load generators of `kafka` do against a broker that keeps nothing: no row there can be larger',
    rows: clientRows,
    run: (report, plan) => benchClient(report, plan),
  },
  eventhubs: {
    says: 'events in and out of the Event Hubs gateway, with a light client of our own codec',
    rows: eventHubsRows,
    run: (report, { quick, runs }) => benchEventHubs(report, { quick, runs }),
  },
  mqtt: {
    says: 'messages with QoS 1 beside mosquitto, by CPU time, and the memory of idle devices',
    rows: mqttRows,
    setUp: () => need('mosquitto'),
    run: (report, { quick, runs }) => benchMqtt(report, { quick, runs }),
  },
  kinesis: {
    says: 'records into and out of the Kinesis gateway, beside kinesalite',
    rows: kinesisRows,
    setUp: () => kinesaliteSuite(),
    run: (report, { quick, runs }) => benchKinesis(report, { quick, runs }),
  },
  connect: {
    says: 'connectors between two Millraces: records a second of each kind and direction',
    rows: connectRows,
    run: (report, { quick, runs }) => benchConnect(report, { quick, runs }),
  },
  latency: {
    says: 'from the acknowledgement of an event to its place in what a subscriber of a view sees',
    rows: latencyRows,
    run: (report, { quick }) => benchLatency(report, quick),
  },
  views: {
    says: '1,000 small views in one process; a start with 1 GB of state (quick: 100, 20 MB)',
    rows: viewRows,
    run: (report, { quick }) => benchViews(report, quick),
  },
}

const { values: options, positionals: names } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    ours: { type: 'boolean', default: false },
    rows: { type: 'string', default: '' },
    runs: { type: 'string' },
    seconds: { type: 'string' },
    events: { type: 'string' },
  },
})
const { quick, ours } = options
const usage = 'usage: npm run bench [-- [name] [--quick] [--ours] [--rows TEXT] [--runs N] [--seconds N] [--events N]]'
const plan = { quick, ours, runs: positive('runs'), seconds: positive('seconds'), events: positive('events') }
const unknown = names.find((name) => !Object.hasOwn(benches, name))
if (unknown !== undefined) {
  console.error(`there is no benchmark ${unknown}\n${usage}`)
  for (const [name, { says }] of Object.entries(benches)) console.error(`  ${name.padEnd(8)} ${says}`)
  process.exit(2)
}

let allOk = true
for (const name of names.length > 0 ? names : Object.keys(benches)) allOk = (await runBench(name)) && allOk
process.exit(allOk ? 0 : 1)

async function runBench(name: string): Promise<boolean> {
  const { rows, setUp, run } = benches[name]!
  const specs = typeof rows === 'function' ? rows({ quick, ours, only: options.rows }) : rows
  const report = new Report(name, specs, options.rows)
  if (report.isEmpty) {
    console.error(`${name} has no row with "${options.rows}" in its name; they are:`)
    for (const { row } of specs) console.error(`  ${row}`)
    return false
  }
  const start = performance.now()
  try {
    await setUp?.(plan)
    await run(report, plan)
  } catch (error) {
    report.failed(name, error)
  }
  const stamp = new Date().toISOString().replace(/[:.]/g, '-')
  const ok = report.print(join(cacheDir, 'bench', `${name}-${stamp}.json`))
  console.error(`${name}${quick ? ', quick form' : ''}: ${((performance.now() - start) / 1000).toFixed(0)} s`)
  return ok
}

function positive(name: 'runs' | 'seconds' | 'events'): number | null {
  const text = options[name]
  if (text === undefined) return null
  const value = Number(text)
  if (value > 0 && (name === 'seconds' || Number.isInteger(value))) return value
  console.error(`--${name} wants a number above 0, not "${text}"\n${usage}`)
  process.exit(2)
}
