/** CREATE, DROP, ALTER of sources and sinks, and SHOW CONNECTORS: what runs them lies above, and is given at the start. */
import { Fault } from '../lib/fault.ts'
import { SqlFault } from '../sql/fault.ts'
import { catalogName } from '../sql/plan/relation.ts'
import type { QualifiedName, Statement } from '../sql/syntax/ast.ts'
import type { Rights } from './engine.ts'
import type { Table } from './show.ts'

type Direction = 'source' | 'sink'
interface Defined {
  readonly name: string
  readonly kind: string
  readonly direction: Direction
  readonly settings: Readonly<Record<string, string>>
}
interface Shown {
  readonly name: string
  readonly kind: string
  readonly direction: Direction
  readonly status: string
  readonly lag: number | null
  readonly records: number
  readonly fault: Fault | null
}
/** What statements need of the connectors. */
export interface ConnectorStatements {
  list(): Promise<readonly Shown[]>
  get(name: string): Promise<Shown | null>
  create(definition: Defined): Promise<unknown>
  alter(name: string, change: { readonly paused: boolean }): Promise<unknown>
  remove(name: string): Promise<void>
}
type ConnectorStatement = Extract<Statement, { kind: 'create-connector' | 'drop-connector' | 'alter-connector' }>

/** The command tag. Throws SqlFault, and the faults of connectors. */
export async function changeConnector(
  connectors: ConnectorStatements,
  rights: Rights,
  statement: ConnectorStatement,
  text: string,
): Promise<string> {
  rights.demandCluster('alter')
  const word = statement.direction.toUpperCase()
  switch (statement.kind) {
    case 'create-connector': {
      const definition = connectorOf(statement, text)
      if (statement.ifNotExists && (await connectors.get(definition.name)) !== null) return `CREATE ${word}`
      await connectors.create(definition)
      return `CREATE ${word}`
    }
    case 'drop-connector':
      for (const name of statement.names) {
        const found = await find(connectors, statement.direction, name, text)
        if (found !== null) await connectors.remove(found)
        else if (!statement.ifExists) throw unknown(name)
      }
      return `DROP ${word}`
    case 'alter-connector': {
      const found = await find(connectors, statement.direction, statement.name, text)
      if (found === null) throw unknown(statement.name)
      await connectors.alter(found, { paused: statement.action === 'pause' })
      return `ALTER ${word}`
    }
  }
}
/** What CREATE SOURCE and CREATE SINK say. Throws SqlFault. */
export function connectorOf(
  statement: Extract<ConnectorStatement, { kind: 'create-connector' }>,
  text: string,
): Defined {
  const { name, of, direction } = statement
  return { name: catalogName(name), kind: of.text.toLowerCase(), direction, settings: settingsOf(statement, text) }
}
function settingsOf(
  { options, topics, direction }: Extract<ConnectorStatement, { kind: 'create-connector' }>,
  text: string,
): Record<string, string> {
  const settings: Record<string, string> = {}
  for (const { name, value, at } of options) {
    if (Object.hasOwn(settings, name))
      throw new SqlFault('sql.invalid-value', `option ${name} is given twice`, text, at)
    if (direction === 'sink' && name === 'topics')
      throw new SqlFault('sql.invalid-value', 'the topics of a sink stand behind FROM', text, at)
    settings[name] = String(value)
  }
  return direction === 'sink' ? { ...settings, topics: topics.map(catalogName).join(',') } : settings
}
async function find(
  connectors: ConnectorStatements,
  direction: Direction,
  name: QualifiedName,
  text: string,
): Promise<string | null> {
  const found = await connectors.get(catalogName(name))
  if (found === null || found.direction === direction) return found?.name ?? null
  throw new SqlFault('sql.wrong-kind', `"${found.name}" is a ${found.direction}`, text, name.at)
}
const unknown = (name: QualifiedName): Fault => new Fault('connect.unknown-connector', { name: catalogName(name) })

export async function showConnectors(connectors: ConnectorStatements, rights: Rights): Promise<Table> {
  rights.demandCluster('describe')
  const text = (name: string) => ({ name, type: { kind: 'text' } as const, nullable: true })
  const count = (name: string) => ({ name, type: { kind: 'bigint' } as const, nullable: true })
  return {
    columns: [
      text('name'),
      text('direction'),
      text('kind'),
      text('status'),
      count('lag'),
      count('records'),
      text('fault'),
    ],
    rows: (await connectors.list()).map(({ name, direction, kind, status, lag, records, fault }) => [
      name,
      direction,
      kind,
      status,
      lag === null ? null : BigInt(lag),
      BigInt(records),
      fault?.message ?? null,
    ]),
  }
}
