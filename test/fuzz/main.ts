/** `npm run test:fuzz -- --queries 10000 --seed 1`: random queries against DuckDB. */
import { parseArgs } from 'node:util'
import { fuzz } from './fuzz.ts'

const { values } = parseArgs({
  options: {
    queries: { type: 'string', default: '1000' },
    seed: { type: 'string' },
    failures: { type: 'string', default: '5' },
  },
})
const seed = values.seed === undefined ? Math.floor(Date.now() / 1000) : Number(values.seed)
const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())
const result = await fuzz({
  seed,
  queries: Number(values.queries),
  failuresMax: Number(values.failures),
  log: console.log,
  signal: stop.signal,
})
console.log(result.summary)
process.exit(result.isGood ? 0 : 1)
