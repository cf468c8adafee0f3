import { Fault } from '../../../lib/fault.ts'
import type { Decoded } from '../../../wire/kafka/codec/shape.ts'
import { alterConfig, type ConfigChange } from '../alter-config.ts'
import { handler } from '../handler.ts'
import { incrementalAlterConfigsApi } from '../../../wire/kafka/messages/44-incremental-alter-configs.ts'

type Changes = Decoded<typeof incrementalAlterConfigsApi.request>['resources'][number]['configs']
const operation = { set: 0, remove: 1, append: 2, subtract: 3 } as const

export const incrementalAlterConfigs = handler({
  api: incrementalAlterConfigsApi,
  versions: [0, 1],
  access: { needs: ['alter-configs topic', 'alter-configs group', 'alter-configs cluster'], shows: ['write topic'] },
  async handle(request, exchange) {
    const responses = await exchange.turns.map(request.resources, (asked) =>
      alterConfig(exchange, asked, request.validateOnly, (_current, effective) => changeOf(asked.configs, effective)),
    )
    return { responses }
  },
})

function changeOf(changes: Changes, effective: (name: string) => string | null): ConfigChange | Fault {
  const result: Record<string, string | null> = Object.create(null) as Record<string, string | null>
  for (const { name, configOperation, value } of changes) {
    if (name in result) return invalid(name, value, 'it is named twice in this request')
    if (configOperation === operation.remove) {
      result[name] = null
      continue
    }
    if (value === null) return invalid(name, value, 'a value is missing')
    if (configOperation === operation.set) result[name] = value
    else if (configOperation === operation.append) result[name] = append(effective(name), value)
    else if (configOperation === operation.subtract) result[name] = subtract(effective(name), value)
    else return invalid(name, value, `there is no operation ${configOperation}`)
  }
  return result
}

const invalid = (name: string, value: string | null, why: string): Fault =>
  new Fault('log.invalid-config', { name, value: value ?? '', why })
const parts = (list: string | null): string[] => (list === null || list === '' ? [] : list.split(','))
const append = (list: string | null, value: string): string => [...new Set([...parts(list), ...parts(value)])].join(',')
function subtract(list: string | null, value: string): string {
  const gone = new Set(parts(value))
  return parts(list)
    .filter((part) => !gone.has(part))
    .join(',')
}
