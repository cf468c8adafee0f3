/**
 * The MQTT gateway beside mosquitto: messages with QoS 1 of 100 publishers by the CPU time that the broker takes for them
 * (`/proc/PID/stat`, user and system, all threads), and what an idle device costs in memory. Ours puts every message on the disk
 * before it says so; mosquitto keeps nothing.
 */
import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { cacheDir, freePorts, need, startMillrace } from '../test/interop/setup/index.ts'
import type { Report, RowSpec } from './lib/rows.ts'
import type { Side } from './lib/sides.ts'

const unit = 'messages/CPU-s'
const windows = [20, 1] as const
const publishRow = (window: number): string => `QoS 1 in, 100 publishers, ${window} under way, 200 B`
const idleRow = 'memory of an idle device with a subscription, 10,000 of them'
export const mqttRows: readonly RowSpec[] = [
  { row: publishRow(20), unit, better: 'higher', goal: 1 },
  { row: publishRow(1), unit, better: 'higher', goal: null },
  { row: idleRow, unit: 'KB', better: 'lower', goal: 20, alone: true },
]

const execute = promisify(execFile)
async function load(
  script: 'publish' | 'idle',
  broker: Broker,
  args: readonly string[],
): Promise<Record<string, number>> {
  const path = join(import.meta.dirname, 'peers', 'mqtt', 'load', `${script}.ts`)
  const { stdout } = await execute(process.execPath, [
    ...[path, '--port', String(broker.port), '--pid', String(broker.pid)],
    ...args,
  ])
  return JSON.parse(stdout) as Record<string, number>
}

interface Broker extends AsyncDisposable {
  readonly port: number
  readonly pid: number
}
async function start(side: Side): Promise<Broker> {
  if (side === 'ours') {
    // Not the system's folder for temporary files: that may be memory.
    const data = mkdtempSync(join(cacheDir, 'bench-mqtt-'))
    const millrace = await startMillrace({ data, args: ['--listen', 'mqtt=127.0.0.1:0'] })
    return {
      port: Number(millrace.listen['mqtt']!.split(':')[1]),
      pid: millrace.pid,
      async [Symbol.asyncDispose]() {
        await millrace.stop()
        rmSync(data, { recursive: true, force: true })
      },
    }
  }
  const { mosquitto } = await need('mosquitto')
  const [port] = await freePorts()
  const folder = mkdtempSync(join(cacheDir, 'bench-mosquitto-'))
  const settings = join(folder, 'mosquitto.conf')
  writeFileSync(
    settings,
    `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\nmax_inflight_messages 0\n`,
  )
  const child = spawn(mosquitto, ['-c', settings], { stdio: 'ignore' })
  await sleep(1_000)
  return {
    port: port!,
    pid: child.pid!,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await new Promise((done) => child.once('close', done))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export async function benchMqtt(
  report: Report,
  { quick, runs }: { quick: boolean; runs: number | null },
): Promise<void> {
  for (let run = 0; run < (runs ?? (quick ? 1 : 3)); run++) {
    for (const window of windows)
      for (const side of ['theirs', 'ours'] as const) {
        await using broker = await start(side)
        const args = ['--window', String(window), '--seconds', quick ? '3' : '10']
        const { perCpuSecond } = await load('publish', broker, args)
        report.sample(publishRow(window), side, perCpuSecond!)
      }
    await using broker = await start('ours')
    const { bytesPerDevice } = await load('idle', broker, [])
    report.sample(idleRow, 'ours', bytesPerDevice! / 1_000)
  }
}
