import { Fault } from '../../../lib/fault.ts'
import { settingTexts } from '../../../security/audit-text.ts'
import { type QuotaChange, type QuotaEntity, entityTypes } from '../../../security/quotas.ts'
import type { Decoded } from '../../../wire/kafka/codec/shape.ts'
import { type Exchange, attempt, code, errorCode, errorMessage, handler } from '../handler.ts'
import { alterClientQuotasApi } from '../../../wire/kafka/messages/49-alter-client-quotas.ts'

type Entry = Decoded<typeof alterClientQuotasApi.request>['entries'][number]

export const alterClientQuotas = handler({
  api: alterClientQuotasApi,
  versions: [0, 1],
  access: { needs: ['alter-configs cluster'] },
  async handle({ entries, validateOnly }, exchange) {
    const refused = { errorCode: code.clusterAuthorizationFailed, errorMessage: 'Cluster authorization failed.' }
    if (!exchange.access.onCluster('alter-configs'))
      return { entries: entries.map(({ entity }) => ({ ...refused, entity })) }
    const answers = []
    // One after another: two of one entity change the same definition.
    for (const entry of entries) {
      if (exchange.turns.isOver) await exchange.turns.next()
      const fault = await attempt(exchange, () => change(exchange, entry, validateOnly))
      answers.push({ errorCode: errorCode(fault), errorMessage: errorMessage(fault), entity: inOrder(entry.entity) })
    }
    return { entries: answers }
  },
})

/** As Kafka's hash tables have them: some clients compare lists. */
const inOrder = (entity: Entry['entity']): Entry['entity'] =>
  entity.toSorted((a, b) => (a.entityType < b.entityType ? -1 : 1))

async function change({ access, security }: Exchange, entry: Entry, onlyCheck: boolean): Promise<Fault | null> {
  const wanted = changeOf(entry)
  const fault = security.quotas.check(wanted)
  if (fault !== null || onlyCheck) return fault
  const of = Object.entries(wanted.entity).map(([type, name]) => `${type}:${name ?? 'default'}`)
  access.says(settingTexts(of.join(' '), wanted.values))
  await security.quotas.change([wanted])
  return null
}
function changeOf({ entity, ops }: Entry): QuotaChange {
  const invalid = (why: string): Fault => new Fault('security.invalid-quota', { why })
  const of: { -readonly [K in keyof QuotaEntity]: QuotaEntity[K] } = {}
  for (const { entityType, entityName } of entity) {
    const type = entityTypes.find((one) => one === entityType)
    if (type === undefined) throw invalid(`there are no quotas for ${entityType.slice(0, 100)}`)
    if (type in of) throw invalid(`${type} is named twice`)
    of[type] = entityName
  }
  const values: Record<string, number | null> = Object.create(null) as Record<string, number | null>
  for (const { key, value, remove } of ops) {
    if (key in values) throw invalid(`${key.slice(0, 100)} is named twice`)
    values[key] = remove ? null : value
  }
  return { entity: of, values }
}
