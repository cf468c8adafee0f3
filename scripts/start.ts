/**
 * `npm start`: Millrace with the retail example on real purchases. Words behind `--` go to `millrace serve`.
 */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, globSync, statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { replay, trickle } from '../examples/retail/replay/replay.ts'

buildConsole()
const words = process.argv.slice(2)
const data = words.includes('--data') ? [] : ['--data', '.millrace/retail']
const server = spawn(
  process.execPath,
  ['src/cli/main.ts', 'serve', 'examples/retail', '-o', 'json', ...data, ...words],
  {
    stdio: ['ignore', 'pipe', 'inherit'],
  },
)
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    stop.abort(new Error('stopped'))
    server.kill(signal)
  })
server.on('exit', (code) => process.exit(code ?? 1))

const [line] = await once(server.stdout)
const { listen, startedInMs } = JSON.parse(line) as { listen: Record<string, string>; startedInMs: number }
const url = `http://${listen['http']}`
process.stdout.write(`
Millrace runs (started in ${startedInMs} ms), and 69,659 real purchases of 1997 and 1998 are coming in, in about a minute.

  ${url}/                            the console: what is going on
  ${url}/views/stock                 inventory: what is on the shelf, item by item, as it sells
  ${url}/views/recommendations       what to show a customer next to what was just bought
  ${url}/alerts                      reorders, and purchases that look like fraud, as they happen

Each purchase is one event; inventory, recommendations and fraud checks see it at the same moment. Try, in a second
terminal:

  npm run millrace -- tail purchases --where "amount > 200"
  npm run millrace -- sql -c "SELECT * FROM stock ORDER BY sold DESC LIMIT 5"
  ${listen['kafka'] === undefined ? '' : `kcat -b ${listen['kafka']} -t purchases -o -5 -e          (any Kafka client)`}

Stop with Ctrl-C; the next \`npm start\` goes on where this one stopped. \`examples/retail\` shows how it is made.
`)
const options = { url, seconds: 60, signal: stop.signal }
try {
  await replay(options)
  process.stdout.write('All purchases are in. Now a slow trickle of repeated ones, dated today.\n')
  await trickle(options)
} catch (error) {
  if (!stop.signal.aborted) throw error
}

async function once(stream: NodeJS.ReadableStream): Promise<[string]> {
  for await (const text of createInterface({ input: stream })) return [text]
  throw new Error('Millrace ended before it was ready')
}

/** The console is built when it is missing or older than its sources. */
function buildConsole(): void {
  if (!existsSync('console/build.mjs')) return
  const built = existsSync('dist/console/index.html') ? statSync('dist/console/index.html').mtimeMs : 0
  const newest = Math.max(...globSync('console/{src,style}/**/*.*').map((file) => statSync(file).mtimeMs))
  if (built >= newest) return
  const { status } = spawnSync(process.execPath, ['console/build.mjs'], { stdio: ['ignore', 'inherit', 'inherit'] })
  if (status !== 0) process.exit(status ?? 1)
}
