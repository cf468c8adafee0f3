/**
 * `npm start`: Millrace with the retail example on real purchases. Words behind `--` go to `millrace serve`.
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { historyIsIn, replay, trickle } from '../examples/retail/replay/replay.ts'
import { buildConsole } from './console.ts'

buildConsole()
const words = process.argv.slice(2)
const data = words.includes('--data') ? [] : ['--data', '.millrace/retail']
const server = spawn(
  process.execPath,
  ['src/cli/main.ts', 'serve', 'examples/retail', '-o', 'json', ...data, ...words],
  {
    stdio: ['ignore', 'pipe', 'pipe'],
  },
)
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.on(signal, () => {
    stop.abort(new Error('stopped'))
    server.kill(signal)
  })
// Not `exit`: by then not every word of it has been read.
server.on('close', (code) => process.exit(code ?? 1))
createInterface({ input: server.stderr }).on('line', (line) => process.stderr.write(`${plain(line)}\n`))

const { listen, startedInMs } = await ready(server.stdout)
const url = `http://${listen['http']}`
const options = { url, seconds: 60, signal: stop.signal }
const at = url === 'http://127.0.0.1:8080' ? '' : ` --server ${url}`
const trickles = 'a slow trickle of repeated ones, dated today'
const done = await historyIsIn(options)
const coming = done
  ? `${trickles}, follows the 69,659 real purchases of 1997 and 1998.`
  : '69,659 real purchases of 1997 and 1998 are coming in, in about a minute.'
process.stdout.write(`
Millrace runs (started in ${startedInMs} ms), and ${coming}

  ${url}/                            the console: what is going on
  ${url}/views/stock                 inventory: what is on the shelf, item by item, as it sells
  ${url}/views/recommendations       what to show a customer next to what was just bought
  ${url}/alerts                      reorders, and purchases that look like fraud, as they happen

Each purchase is one event; inventory, recommendations and fraud checks see it at the same moment. Try, in a second
terminal:

  npm run millrace -- tail purchases --where "amount > 200"${at}
  npm run millrace -- sql -c "SELECT * FROM stock ORDER BY sold DESC LIMIT 5"${at}
  ${listen['kafka'] === undefined ? '' : `kcat -C -b ${listen['kafka']} -t purchases -o -5 -e          (any Kafka client)`}

Stop with Ctrl-C; the next \`npm start\` goes on where this one stopped. \`examples/retail\` shows how it is made.
`)
try {
  await replay(options)
  if (!done) process.stdout.write(`All purchases are in. Now ${trickles}.\n`)
  await trickle(options)
} catch (error) {
  if (!stop.signal.aborted) throw error
}

/** Millrace speaks JSON here, for the line that says it is ready; why it ended is for people. */
function plain(line: string): string {
  if (!line.startsWith('{"code":')) return line
  const { message, hint } = JSON.parse(line) as { message: string; hint: string }
  return `millrace: ${message}\n  ${hint}`
}

interface Ready {
  readonly listen: Record<string, string>
  readonly startedInMs: number
}
/** What Millrace says when it is ready. When it ends before, it has said why, and this process ends with its exit code. */
async function ready(stream: NodeJS.ReadableStream): Promise<Ready> {
  for await (const line of createInterface({ input: stream })) return JSON.parse(line) as Ready
  return new Promise(() => {})
}
