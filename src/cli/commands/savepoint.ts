/** Savepoints of views. */
import type { SavepointInfo } from '../../gateway/http/api.ts'
import { call, json } from '../client.ts'
import { type Command, type NameList, relationNames, usageError } from '../command.ts'
import { printOne, printRows } from '../output.ts'

const savepointNames: NameList = { path: '/v1/savepoints', field: 'name' }
const pathOf = (name: string): string => `/v1/savepoints/${encodeURIComponent(name)}`
const shown = ({ name, view, at, stateBytes, rowBytes, operators }: SavepointInfo) => ({
  name,
  view,
  at,
  stateBytes,
  rowBytes,
  operators: operators
    .map(({ kind, label, rows }) => `${kind} ${label}${rows === null ? '' : `: ${rows} rows`}`)
    .join('; '),
})

export const savepointCommands: readonly Command[] = [
  {
    path: ['savepoint', 'create'],
    summary: 'keep state, rows and positions of a view as they are now, under a name',
    args: [{ name: 'savepoint' }, { name: 'view', known: relationNames }],
    examples: [
      'millrace savepoint create before-sale revenue',
      'millrace sql "ALTER MATERIALIZED VIEW revenue START FROM SAVEPOINT \\"before-sale\\""',
    ],
    async run(on) {
      const { savepoint, view } = on.args
      const path = pathOf(savepoint!)
      printOne(on.output, shown(await json<SavepointInfo>(on, { method: 'PUT', path, body: { view } })))
    },
  },
  {
    path: ['savepoint', 'list'],
    summary: 'savepoints, with their views, sizes and operators',
    examples: ['millrace savepoint list'],
    async run(on) {
      printRows(on.output, (await json<SavepointInfo[]>(on, { path: '/v1/savepoints' })).map(shown))
    },
  },
  {
    path: ['savepoint', 'delete'],
    summary: 'delete a savepoint',
    args: [{ name: 'savepoint', known: savepointNames }],
    options: [{ name: 'yes', short: 'y', summary: 'do it without asking' }],
    examples: ['millrace savepoint delete before-sale --yes'],
    async run(on) {
      const { savepoint } = on.args
      if (!on.options.on('yes')) throw usageError(`this deletes savepoint ${savepoint}; say --yes`)
      await call(on, { method: 'DELETE', path: pathOf(savepoint!) })
      printOne(on.output, { deleted: savepoint })
    },
  },
]
