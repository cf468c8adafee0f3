/**
 * What who asks may do, as far as statements need to know. A stream, table or view is what its topic is; alerts are the
 * affair of those who see and alter the cluster. What may not be seen is as good as not there: no list, hint or fault
 * tells them apart.
 */
import { SqlFault } from '../sql/fault.ts'
import { matchesName } from '../sql/bind/scope.ts'
import { type Schema, matcher, pickNamed } from '../sql/plan/relation.ts'
import type { Name, QualifiedName } from '../sql/syntax/ast.ts'
import type { Definition, Definitions } from './definitions.ts'
import type { Rights } from './engine.ts'

export const everyRight: Rights = {
  sees: () => true,
  seesCluster: () => true,
  demand: () => {},
  demandCluster: () => {},
  missed: () => {},
}

export const topicOf = ({ name, topic }: Definition): string => topic?.name ?? name
/** Who sees a plain view sees all that it reads: its text says what that is. */
export const isShown = (rights: Rights, definition: Definition): boolean => {
  if (definition.kind === 'alert') return rights.seesCluster()
  return rights.sees(topicOf(definition)) && definition.plain?.reads.every(({ topic }) => rights.sees(topic)) !== false
}

/** For people. */
export const wordOf = ({ kind }: Definition): string => (kind === 'plain-view' ? 'view' : kind)

/** The one of these that the name means, among those that may be seen; null = none. Throws SqlFault when it may mean several. */
export function pickShown(
  rights: Rights,
  all: readonly Definition[],
  name: QualifiedName,
  text: string,
): Definition | null {
  const found = pickNamed(
    all.filter((definition) => isShown(rights, definition)),
    name,
    text,
  )
  if (found === null) missed(rights, all, matcher(name))
  return found
}
function missed(rights: Rights, all: Iterable<Definition>, wanted: Name): void {
  const hidden = [...all].find((one) => matchesName(wanted, one.name) && !isShown(rights, one))
  rights.missed(hidden === undefined ? null : topicOf(hidden))
}

/** What a text may name. */
export function shownSchema(rights: Rights, definitions: Definitions): Schema {
  const relations = (): Definition[] => definitions.all().filter(({ kind }) => kind !== 'alert')
  return {
    functions: definitions.functions,
    *relations() {
      for (const one of relations()) if (one.relation !== null && isShown(rights, one)) yield one.relation
    },
    *plainViews() {
      for (const one of relations()) if (one.plain !== null && isShown(rights, one)) yield one.plain.view
    },
    broken(name) {
      missed(rights, relations(), name)
      const broken = definitions.broken(name)
      if (broken === null || !isShown(rights, broken)) return null
      return shownFault(rights, broken)
    },
  }
}
/** Why a definition cannot be planned names what it reads, which cannot be known then. */
export const shownFault = (rights: Rights, { fault }: Definition): string | null =>
  fault === null ? null : rights.seesCluster() ? fault.message : 'its definition cannot be planned any more'

/** Throws where some of what would go with it may not be seen, and names what may. */
export function demandDependents(
  rights: Rights,
  found: Definition,
  all: readonly Definition[],
  at: { readonly text: string; readonly at: number; readonly cascade: boolean; readonly does?: 'drop' | 'make anew' },
): void {
  const others = all.filter((other) => other !== found)
  const hidden = others.filter((other) => !isShown(rights, other))
  if (hidden.length > 0) rights.missed(topicOf(hidden[0]!))
  if (hidden.length > 0 || (others.length > 0 && !at.cascade)) {
    const names = others.filter((other) => isShown(rights, other)).map((other) => `${wordOf(other)} ${other.name}`)
    if (hidden.length > 0) names.push('some that may not be seen')
    const isAnew = at.does === 'make anew'
    const cannot = `cannot ${isAnew ? 'make' : 'drop'} ${wordOf(found)} "${found.name}"${isAnew ? ' anew' : ''}`
    const message = `${cannot} because other objects depend on it: ${names.join(', ')}`
    const remedy = isAnew ? 'Drop them first, and make them again behind it.' : 'Drop them first, or add CASCADE.'
    throw new SqlFault('sql.dependent', message, at.text, at.at, {
      hint: hidden.length > 0 ? 'Who may see all of them can drop it.' : remedy,
    })
  }
  for (const one of all) demandDrop(rights, one)
}
function demandDrop(rights: Rights, one: Definition): void {
  if (one.kind === 'alert') rights.demandCluster('alter')
  // The topic of a view goes with it; that of a stream or table stays.
  else rights.demand(one.kind === 'view' || one.kind === 'plain-view' ? 'delete' : 'alter', topicOf(one))
}
