/** Settings of groups, as records `group/<name>` of the catalogue. */
import { Fault, asFault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import type { Clock } from '../../../lib/world.ts'
import type { LogRecord } from '../../batch.ts'
import type { ConfigEntry, GroupConfigs } from '../../broker.ts'
import type { PartitionState } from '../partition.ts'
import { appendDurably } from '../system-log.ts'
import type { ConsumerGroupSettings } from './consumer/consumer-group.ts'

interface Setting {
  readonly default: number
  readonly min: number
  readonly max: number
  readonly documentation: string
}
type Config = Readonly<Record<string, string>>

const session = 'consumer.session.timeout.ms'
const heartbeat = 'consumer.heartbeat.interval.ms'
const assignment = 'consumer.assignment.interval.ms'
/** Kafka's names; its bounds are wider here at the lower end. */
const settings: Readonly<Record<string, Setting>> = {
  [session]: {
    default: 45_000,
    min: limits.sessionTimeoutMinMs,
    max: limits.sessionTimeoutMaxMs,
    documentation: 'A member of the consumer protocol that is silent for so long is out of the group.',
  },
  [heartbeat]: {
    default: 5_000,
    min: 100,
    max: 15_000,
    documentation:
      'How often members of the consumer protocol are asked to send a heartbeat. While it is not set, groups of less than 100 members are asked more often, down to every 500 ms, and every 100 ms while the group changes.',
  },
  [assignment]: {
    default: 250,
    min: 0,
    max: 15_000,
    documentation: 'The least time between two assignments of a group of the consumer protocol.',
  },
}
const prefix = 'group/'

export class LocalGroupConfigs implements GroupConfigs {
  readonly #clock: Clock
  readonly #catalog: PartitionState
  readonly #configs = new Map<string, Config>()
  /** One change at a time. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(clock: Clock, catalog: PartitionState) {
    this.#clock = clock
    this.#catalog = catalog
  }
  restore(record: LogRecord): void {
    const key = record.key === null ? '' : Buffer.from(record.key).toString()
    if (!key.startsWith(prefix)) return
    const group = key.slice(prefix.length)
    if (record.value === null) this.#configs.delete(group)
    else this.#configs.set(group, JSON.parse(Buffer.from(record.value).toString()) as Config)
  }

  of(group: string): ConsumerGroupSettings {
    const config = this.#configs.get(group)
    const value = (name: string): number => Number(config?.[name] ?? settings[name]!.default)
    return {
      sessionMs: value(session),
      heartbeatMs: config?.[heartbeat] === undefined ? null : value(heartbeat),
      assignmentMs: value(assignment),
    }
  }
  names(): readonly string[] {
    return [...this.#configs.keys()]
  }
  current(group: string): Config {
    return this.#configs.get(group) ?? {}
  }
  describe(group: string): readonly ConfigEntry[] {
    const config = this.current(group)
    return Object.entries(settings).map(([name, setting]) => ({
      name,
      value: config[name] ?? String(setting.default),
      isDefault: config[name] === undefined,
      type: 'int',
      documentation: setting.documentation,
    }))
  }
  check(group: string, change: Readonly<Record<string, string | null>>): Fault | null {
    try {
      this.#changed(group, change)
      return null
    } catch (error) {
      return asFault(error)
    }
  }
  #changed(group: string, change: Readonly<Record<string, string | null>>): Config {
    if (group === '') throw new Fault('log.invalid-group', { group, why: 'it is empty' })
    if (group.length > limits.groupIdLength)
      throw new Fault('log.invalid-group', { group: group.slice(0, 32), why: 'it is too long' })
    const config = new Map(Object.entries(this.current(group)))
    for (const [name, value] of Object.entries(change)) {
      checkSetting(name, value)
      if (value === null) config.delete(name)
      else config.set(name, value.trim())
    }
    const value = (name: string): number => Number(config.get(name) ?? settings[name]!.default)
    if (value(session) <= value(heartbeat))
      throw new Fault('log.invalid-config', {
        name: session,
        value: String(value(session)),
        why: `it must be more than ${heartbeat}, which is ${value(heartbeat)}`,
      })
    return Object.fromEntries(config)
  }
  alter(group: string, change: Readonly<Record<string, string | null>>): Promise<void> {
    const mine = this.#last.then(async () => {
      const config = this.#changed(group, change)
      const isNone = Object.keys(config).length === 0
      const value = isNone ? null : Buffer.from(JSON.stringify(config))
      await appendDurably(this.#catalog, [{ key: Buffer.from(prefix + group), value, timeMs: this.#clock.now() }])
      if (isNone) this.#configs.delete(group)
      else this.#configs.set(group, config)
    })
    this.#last = mine.catch(() => undefined)
    return mine
  }
}

function checkSetting(name: string, value: string | null): void {
  const refuse = (why: string): never => {
    throw new Fault('log.invalid-config', { name, value: value ?? '', why })
  }
  if (!Object.hasOwn(settings, name)) return refuse('there is no such setting of groups')
  if (value === null) return
  if (!/^\d{1,10}$/.test(value.trim())) return refuse('it must be a whole number')
  const { min, max } = settings[name]!
  const number = Number(value)
  if (number < min || number > max) return refuse(`it must be from ${min} to ${max}`)
}
