/** What a newcomer meets first: time from the command to ready, memory at rest, script that the console loads. */
import { gzipSync } from 'node:zlib'
import { setTimeout as sleep } from 'node:timers/promises'
import { residentBytes } from '../test/faults/process.ts'
import { startMillrace } from '../test/interop/setup/index.ts'
import { buildConsole } from '../scripts/console.ts'
import type { Report, RowSpec } from './lib/rows.ts'

const ready = 'start to ready'
const again = 'start to ready, existing data'
const memory = 'memory idle'
const script = 'console script, first load, gzip'
export const startRows: readonly RowSpec[] = [
  { row: ready, unit: 'ms', better: 'lower', goal: 1_000, alone: true },
  { row: again, unit: 'ms', better: 'lower', goal: 1_000, alone: true },
  { row: memory, unit: 'MB', better: 'lower', goal: 150, alone: true },
  { row: script, unit: 'KiB', better: 'lower', goal: 90, alone: true },
]

export async function benchStart(report: Report, isQuick: boolean): Promise<void> {
  buildConsole()
  const runs = isQuick ? 3 : 9
  for (let run = 0; run < runs; run++) {
    await using first = await startMillrace()
    report.sample(ready, 'ours', first.spawnToReadyMs)
    report.raw({ row: ready, startedInMs: first.startedInMs })
    await sleep(isQuick ? 1_500 : 10_000)
    report.sample(memory, 'ours', residentBytes(first.pid) / (1024 * 1024))
    if (run === 0) await measureScript(report, first.http)
    await first.kill('SIGTERM')
    await using second = await startMillrace({ data: first.data })
    report.sample(again, 'ours', second.spawnToReadyMs)
  }
}

async function measureScript(report: Report, address: string): Promise<void> {
  try {
    const files = await firstLoadScripts(`http://${address}/`)
    let bytes = 0
    for (const [url, text] of files) {
      const zipped = gzipSync(text, { level: 9 }).length
      report.raw({ row: script, url, bytes: text.length, zipped })
      bytes += zipped
    }
    report.sample(script, 'ours', bytes / 1024)
  } catch (error) {
    report.failed(script, error)
  }
}

/** Scripts of the page and all that they import statically: what a browser fetches before the first view. */
async function firstLoadScripts(page: string): Promise<Map<string, Buffer>> {
  const html = (await get(page)).toString('utf8')
  const references = html.matchAll(/<(?:script[^>]*\ssrc|link[^>]*rel="?modulepreload"?[^>]*\shref)="?([^"\s>]+)/g)
  const waiting = [...references].map(([, path]) => new URL(path!, page).href)
  if (waiting.length === 0) throw new Error(`${page} names no script`)
  const files = new Map<string, Buffer>()
  for (let url = waiting.pop(); url !== undefined; url = waiting.pop()) {
    if (files.has(url)) continue
    const text = await get(url)
    files.set(url, text)
    const imports = text
      .toString('utf8')
      .matchAll(/(?:^|[;}\s])(?:import|export)\s*(?:[\w*{][^'"();]*from\s*)?["'](\.[^"']+)["']/g)
    for (const [, path] of imports) waiting.push(new URL(path!, url).href)
  }
  return files
}

async function get(url: string): Promise<Buffer> {
  const answer = await fetch(url)
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`)
  return Buffer.from(await answer.arrayBuffer())
}
