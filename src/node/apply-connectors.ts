/**
 * Sources and sinks of a project's SQL files. One that stands as the files say is left alone, paused or not; one whose settings
 * have changed goes on where it was; one of another kind or direction begins anew. What the files name no more stays.
 */
import { checkName, prepare } from '../connect/definition.ts'
import type { ConnectorDefinition } from '../connect/connectors.ts'
import { kinds } from '../connect/kinds.ts'
import type { OpenConnectors } from '../connect/open.ts'
import type { Files } from '../connect/settings.ts'
import { Fault } from '../lib/fault.ts'
import type { Logger } from '../lib/logger.ts'
import { connectorOf } from '../query/connectors.ts'
import { SqlFault } from '../sql/fault.ts'
import { parseStatements } from '../sql/syntax/parse.ts'
import { type Definitions, inPlace } from './apply.ts'

export interface WantedConnector {
  readonly definition: ConnectorDefinition
  readonly file: string
  /** File and line. */
  readonly at: string
}

/** Throws what is wrong with one of them, before anything is changed; with its file and line in front. */
export function connectorsOf({ sql }: Pick<Definitions, 'sql'>, files: Files): readonly WantedConnector[] {
  const wanted = sql.flatMap(({ file, text }) => {
    const place = { file, in: { text, at: 0 } }
    return inPlace(place, 0, () => parseStatements(text)).flatMap((statement): WantedConnector[] => {
      if (statement.kind !== 'create-connector') return []
      const { line } = new SqlFault('sql.unsupported', '', text, statement.at).position
      const definition = inPlace(place, 0, () => connectorOf(statement, text))
      return [{ definition, file, at: `${file}:${line}` }]
    })
  })
  for (const one of wanted)
    named(one, () => {
      checkName(one.definition.name)
      prepare(one.definition, kinds, files)
    })
  for (const [name, [one, other]] of Map.groupBy(wanted, ({ definition }) => definition.name))
    if (other !== undefined) {
      const files = one!.file === other.file ? one!.file : `${one!.file} and ${other.file}`
      throw new Fault('project.duplicate', { what: `connector ${name}`, files })
    }
  return wanted
}

export async function applyConnectors(
  { connectors, logger }: { readonly connectors: OpenConnectors; readonly logger: Logger },
  wanted: readonly WantedConnector[],
): Promise<void> {
  for (const one of wanted) {
    const { name, direction } = one.definition
    const outcome = await connectors.define(one.definition).catch((error: unknown) => named(one, () => thrown(error)))
    if (outcome === 'changed')
      logger.info(`${direction} ${name} has changed: it goes on where it was`, { file: one.file })
    if (outcome === 'anew') logger.info(`${direction} ${name} has changed: it begins anew`, { file: one.file })
  }
}

const thrown = (error: unknown): never => {
  throw error
}
function named<T>({ at }: WantedConnector, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof Error) error.message = `${at}: ${error.message}`
    throw error
  }
}
