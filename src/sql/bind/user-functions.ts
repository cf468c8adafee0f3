/** The functions that a program gave, by name. What has a meaning in SQL already cannot be given another one. */
import { functions } from '../../flow/functions/index.ts'
import type { SqlFunctionDefinition } from '../../flow/user-functions.ts'
import { Fault } from '../../lib/fault.ts'
import { parseStatements } from '../syntax/parse.ts'
import { isAggregate, rankings } from './aggregates.ts'
import { castFunctions, clocks } from './forms.ts'
import { windowFunctions } from './functions.ts'

export class UserFunctions {
  private readonly byName = new Map<string, SqlFunctionDefinition[]>()
  readonly all: readonly SqlFunctionDefinition[]

  /** Throws Fault config.invalid for a name that is taken. */
  constructor(all: readonly SqlFunctionDefinition[] = []) {
    this.all = all
    const signatures = new Set<string>()
    for (const one of all) {
      const { name, signature } = one
      if (isTaken(name)) throw refused(name, 'SQL has something of this name already')
      if (signatures.has(signature)) throw refused(signature, 'it is defined twice')
      signatures.add(signature)
      this.byName.set(name, [...this.named(name), one])
    }
  }
  named(name: string): readonly SqlFunctionDefinition[] {
    return this.byName.get(name) ?? []
  }
  names(): Iterable<string> {
    return this.byName.keys()
  }
}
const refused = (value: string, why: string): Fault => new Fault('config.invalid', { setting: 'function', value, why })
const forms = new Set(['coalesce', 'nullif', 'greatest', 'least'])
const isTaken = (name: string): boolean =>
  functions.named(name).length > 0 ||
  isAggregate(name) ||
  rankings.has(name) ||
  forms.has(name) ||
  windowFunctions.has(name) ||
  castFunctions.has(name) ||
  Object.hasOwn(clocks, name) ||
  !isPlainCall(name)
/** Words of the grammar are no names of functions. */
function isPlainCall(name: string): boolean {
  try {
    const [statement] = parseStatements(`SELECT ${name}()`)
    const body = statement?.kind === 'query' ? statement.query.body : null
    const expr = body?.kind === 'select' ? body.items[0]?.expr : null
    return expr?.kind === 'call' && expr.name.parts.length === 1 && expr.name.parts[0]!.text === name
  } catch {
    return false
  }
}
