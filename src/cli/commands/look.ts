/** Views, groups and alerts: lists and single ones. */
import type {
  AlertInfo,
  ConnectorJson,
  Diagnosis,
  FiredAlert,
  GatewayInfo,
  GroupSummary,
  QueryAnswer,
  RelationInfo,
} from '../../gateway/http/api.ts'
import { call, json } from '../client.ts'
import { type Call, type Command, CommandError, exit, groupNames, relationNames, usageError } from '../command.ts'
import { printNext, printOne, printRows, printable } from '../output.ts'

export function printAnswer(output: Parameters<typeof printRows>[0], answer: QueryAnswer): void {
  for (const notice of answer.notices ?? []) process.stderr.write(`NOTICE: ${printable(notice)}\n`)
  const names = answer.columns.map((column) => column.name)
  const rows = answer.rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i]])))
  if (names.length === 0) printNext(output, { command: answer.command }, () => answer.command)
  else printRows(output, rows, names)
}

/** What the doctor can look at. */
type Subject = readonly [what: 'view' | 'connector' | 'gateway', name: string]
const pathOf = ([what, name]: Subject): string => `/v1/${what}s/${encodeURIComponent(name)}`

async function allSubjects(on: Call): Promise<Subject[]> {
  const views = (await viewNames(on)).map((name): Subject => ['view', name])
  try {
    const connectors = await json<ConnectorJson[]>(on, { path: '/v1/connectors' })
    const gateways = await gatewayNames(on)
    return [
      ...views,
      ...connectors.map(({ name }): Subject => ['connector', name]),
      ...gateways.map((name): Subject => ['gateway', name]),
    ]
  } catch (error) {
    // Who may see views need not be one who may see connectors and gateways.
    if (error instanceof CommandError && error.exitCode === exit.notAllowed) return views
    throw error
  }
}
/** A view, a connector, or both, where they have one name; else a gateway. Throws as a view that is not there does. */
async function subjectsOf(on: Call, name: string): Promise<Subject[]> {
  try {
    return await namedSubjects(on, name)
  } catch (error) {
    const isGateway = async (): Promise<boolean> => (await gatewayNames(on)).includes(name)
    if (!(error instanceof CommandError) || !isNotSeen(error) || !(await isGateway().catch(() => false))) throw error
    return [['gateway', name]]
  }
}
async function namedSubjects(on: Call, name: string): Promise<Subject[]> {
  const found: Subject[] = []
  for (const what of ['connector', 'view'] as const) {
    const subject: Subject = [what, name]
    try {
      await call(on, { path: pathOf(subject) })
      found.push(subject)
    } catch (error) {
      const isLast = what === 'view' && found.length === 0
      const isNone = error instanceof CommandError && isNotSeen(error)
      if (isLast || !isNone) throw error
    }
  }
  return found
}

const isNotSeen = ({ exitCode }: CommandError): boolean => exitCode === exit.notFound || exitCode === exit.notAllowed

const gatewayNames = async (on: Call): Promise<string[]> =>
  (await json<GatewayInfo[]>(on, { path: '/v1/gateways' })).map(({ protocol }) => protocol)
const viewNames = async (on: Call): Promise<string[]> =>
  (await json<RelationInfo[]>(on, { path: '/v1/views' })).filter(({ kind }) => kind === 'view').map(({ name }) => name)
function diagnosisText(subject: string, { code, sure, says, evidence, remedy }: Diagnosis): string {
  // Names and values that others chose are among it.
  const lines = [
    `${subject}: ${sure === 'yes' ? '' : 'probably '}${code}`,
    says,
    ...evidence.map((one) => `- ${one}`),
    `To do: ${remedy}`,
  ]
  return `${lines.map(printable).join('\n  ')}\n`
}

export const lookCommands: readonly Command[] = [
  {
    path: ['view', 'list'],
    summary: 'views, streams and tables with their state',
    examples: ['millrace view list'],
    async run(on) {
      const views = await json<RelationInfo[]>(on, { path: '/v1/views' })
      const rows = views.map((v) => ({
        name: v.name,
        kind: v.kind,
        status: v.status,
        ...v.stats,
        watermark: v.watermark,
        restarts: v.restarts?.attempts ?? 0,
        nextStart: v.restarts?.nextAt ?? null,
        fault: (v.error ?? v.restarts?.lastFault)?.message ?? null,
      }))
      printRows(on.output, rows)
    },
  },
  {
    path: ['view', 'show'],
    summary: 'rows of a view as they are now',
    args: [{ name: 'view', known: relationNames }],
    options: [{ name: 'limit', value: 'N', summary: 'default 100' }],
    examples: ['millrace view show revenue --limit 10'],
    async run(on) {
      const limit = on.options.text('limit') ?? '100'
      const path = `/v1/views/${encodeURIComponent(on.args['view']!)}/rows?limit=${encodeURIComponent(limit)}`
      printAnswer(on.output, await json<QueryAnswer>(on, { path }))
    },
  },
  {
    path: ['doctor'],
    summary:
      'why a view gives nothing, or not what was expected; why nothing flows through a connector; what ails those who read through a gateway',
    args: [{ name: 'name', optional: true, known: relationNames }],
    examples: ['millrace doctor revenue', 'millrace doctor west', 'millrace doctor mqtt', 'millrace doctor'],
    async run(on) {
      const { name } = on.args
      for (const subject of name === undefined ? await allSubjects(on) : await subjectsOf(on, name)) {
        const [what, called] = subject
        const found = await json<Diagnosis[]>(on, { path: `${pathOf(subject)}/doctor` })
        for (const one of found) printNext(on.output, { [what]: called, ...one }, () => diagnosisText(called, one))
        if (found.length === 0)
          printNext(on.output, { [what]: called, code: 'healthy' }, () => `${called}: no cause for trouble is known`)
      }
    },
  },
  {
    path: ['view', 'delete'],
    summary: 'drop a view; its topic goes with it',
    args: [{ name: 'view', known: relationNames }],
    options: [{ name: 'yes', short: 'y', summary: 'do it without asking' }],
    examples: ['millrace view delete revenue --yes'],
    async run(on) {
      if (!on.options.on('yes')) throw usageError(`this drops ${on.args['view']} and its state; say --yes`)
      await call(on, { method: 'DELETE', path: `/v1/views/${encodeURIComponent(on.args['view']!)}` })
      printOne(on.output, { dropped: on.args['view'] })
    },
  },
  {
    path: ['group', 'list'],
    summary: 'consumer groups and how far behind they are',
    examples: ['millrace group list'],
    async run(on) {
      const groups = await json<GroupSummary[]>(on, { path: '/v1/groups' })
      printRows(
        on.output,
        groups.map((g) => ({
          group: g.group,
          state: g.state,
          members: g.members.length,
          lag: g.lag,
          lagSeconds: g.lagSeconds,
        })),
      )
    },
  },
  {
    path: ['group', 'show'],
    summary: 'one group: positions and lag of each partition',
    args: [{ name: 'group', known: groupNames }],
    examples: ['millrace group show billing'],
    async run(on) {
      const group = await json<GroupSummary>(on, { path: `/v1/groups/${encodeURIComponent(on.args['group']!)}` })
      printRows(
        on.output,
        group.positions.map((position) => ({ ...position })),
      )
    },
  },
  {
    path: ['group', 'delete'],
    summary: 'delete a group without members, and its positions: it begins anew',
    args: [{ name: 'group', known: groupNames }],
    examples: ['millrace group delete billing', "millrace group delete 'eventhubs.$Default'"],
    async run(on) {
      await call(on, { method: 'DELETE', path: `/v1/groups/${encodeURIComponent(on.args['group']!)}` })
      printOne(on.output, { deleted: on.args['group'] })
    },
  },
  {
    path: ['alert', 'list'],
    summary: 'alert rules',
    examples: ['millrace alert list'],
    async run(on) {
      const alerts = await json<AlertInfo[]>(on, { path: '/v1/alerts' })
      printRows(
        on.output,
        alerts.map((a) => ({
          name: a.name,
          status: a.status,
          fired: a.fired,
          suppressed: a.suppressed,
          deliveryFailures: a.deliveryFailures,
        })),
      )
    },
  },
  {
    path: ['alert', 'fired'],
    summary: 'what fired, newest first',
    options: [{ name: 'limit', value: 'N', summary: 'default 50' }],
    examples: ['millrace alert fired --limit 5'],
    async run(on) {
      const limit = on.options.text('limit') ?? '50'
      const fired = await json<FiredAlert[]>(on, { path: `/v1/alerts/fired?limit=${encodeURIComponent(limit)}` })
      printRows(
        on.output,
        fired.map((f) => ({ firedAt: f.firedAt, alert: f.alert, key: f.key, message: f.message })),
      )
    },
  },
]
