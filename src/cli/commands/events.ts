import { readFileSync } from 'node:fs'
import type { ProducedJson, RecordJson } from '../../gateway/http/api.ts'
import { answerParts } from '../answers.ts'
import { call, events, json, lines } from '../client.ts'
import { type Command, CommandError, exit, topicNames, usageError } from '../command.ts'
import { parseExact } from '../exact-json.ts'
import { printNext, printOne, printable } from '../output.ts'
import { printAnswer } from './look.ts'

const records = (topic: string): string => `/v1/topics/${encodeURIComponent(topic)}/records`

async function standardInput(): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of process.stdin) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new CommandError(`${file} cannot be read: ${(error as Error).message}`, {
      exitCode: exit.notFound,
      code: 'cli.no-file',
      hint: 'Name a file of SQL, or give the statement itself: -c "SELECT 1".',
    })
  }
}

function text(record: RecordJson): string {
  const payload = (p: RecordJson['value']): string =>
    p === null ? 'null' : 'json' in p ? JSON.stringify(p.json) : printable('text' in p ? p.text : p.base64)
  return `${record.timestamp}  ${record.partition}:${record.offset}  ${payload(record.key)}  ${payload(record.value)}`
}

export const eventCommands: readonly Command[] = [
  {
    path: ['produce'],
    summary: 'write events: NDJSON from standard input, or one given with --value',
    args: [{ name: 'topic', known: topicNames }],
    options: [
      { name: 'value', value: 'JSON', summary: 'one event' },
      { name: 'key', value: 'KEY', summary: 'its key' },
    ],
    examples: [
      `millrace produce purchases --value '{"item":"cd-7","amount":11.77}'`,
      'cat events.ndjson | millrace produce purchases',
    ],
    async run(on) {
      const value = on.options.text('value')
      const key = on.options.text('key')
      const path = records(on.args['topic']!) + (key === undefined ? '' : `?key=${encodeURIComponent(key)}`)
      const bytes = value === undefined ? await standardInput() : Buffer.from(value)
      const type = value === undefined ? 'application/x-ndjson' : 'application/json'
      const answer = await call(on, { method: 'POST', path, raw: { bytes, type } })
      let stored = 0
      let number = 0
      const refused: string[] = []
      for await (const line of lines(answer))
        for (const one of flatten(line)) {
          number++
          if ('fault' in one)
            refused.push(value === undefined ? `event ${number}: ${one.fault.detail}` : one.fault.detail)
          else stored++
        }
      printOne(on.output, { topic: on.args['topic'], stored, refused: refused.length })
      if (refused.length > 0) throw new CommandError(`${refused.length} refused: ${refused[0]}`)
    },
  },
  {
    path: ['tail'],
    summary: 'follow a topic, or the changes of a view',
    args: [{ name: 'name', known: topicNames }],
    options: [
      { name: 'from', value: 'WHERE', summary: 'earliest, latest (default), an offset or a time' },
      { name: 'where', value: 'SQL', summary: 'only records for which this holds' },
      { name: 'limit', value: 'N', summary: 'stop after so many' },
    ],
    examples: ['millrace tail purchases --from earliest --where "amount > 100"'],
    async run(on) {
      const query = new URLSearchParams({ from: on.options.text('from') ?? 'latest' })
      const where = on.options.text('where')
      if (where !== undefined) query.set('where', where)
      const limit = Number(on.options.text('limit') ?? Infinity)
      if (Number.isNaN(limit)) throw usageError('--limit takes a number')
      const answer = await call(on, { path: `${records(on.args['name']!)}?${query}`, accept: 'text/event-stream' })
      let count = 0
      for await (const { event, data } of events(answer)) {
        if (event !== 'record') continue
        const record = parseExact(data) as RecordJson
        printNext(on.output, { ...record }, () => text(record))
        if (++count >= limit) return
      }
      throw new CommandError('the server ended the stream', { exitCode: exit.failed })
    },
  },
  {
    path: ['sql'],
    summary: 'run SQL: a statement, a file, or what stands on standard input',
    args: [{ name: 'file', optional: true }],
    options: [{ name: 'command', short: 'c', value: 'SQL', summary: 'the statement' }],
    examples: [`millrace sql -c 'SELECT * FROM revenue LIMIT 5'`, 'millrace sql streams.sql'],
    async run(on) {
      const command = on.options.text('command')
      const file = on.args['file']
      const sql = command ?? (file === undefined ? (await standardInput()).toString('utf8') : read(file))
      if (/^\s*subscribe\b/i.test(sql)) {
        const answer = await call(on, { method: 'POST', path: '/v1/sql', body: { sql }, accept: 'text/event-stream' })
        for await (const { data } of events(answer))
          printNext(on.output, parseExact(data) as Record<string, unknown>, () => data)
        return
      }
      for (const part of answerParts(sql))
        printAnswer(on.output, await json(on, { method: 'POST', path: '/v1/sql', body: { sql: part } }))
    },
  },
]

type Produced = ProducedJson['records'][number]
/** An answer line is one record (NDJSON) or the whole answer. */
function flatten(line: string): readonly Produced[] {
  const parsed = JSON.parse(line) as ProducedJson | Produced
  return 'records' in parsed ? parsed.records : [parsed]
}
