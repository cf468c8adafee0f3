/** Settings of resources other than topics, by kind and name: records of the catalogue. */
import { Fault, asFault } from '../../lib/fault.ts'
import { suggestion } from '../../lib/suggestion.ts'
import type { Clock } from '../../lib/world.ts'
import type { ConfigEntry, ResourceConfigs } from '../broker.ts'
import type { PartitionState } from './partition.ts'
import { appendDurably } from './system-log.ts'

export interface ResourceSetting {
  readonly default: string
  readonly type: ConfigEntry['type']
  readonly documentation: string
  /** Why a value cannot be. */
  wrong(value: string): string | null
}
export interface ResourceKind {
  /** Of its keys in the catalogue. */
  readonly prefix: string
  /** For people: several of them. */
  readonly noun: string
  readonly settings: Readonly<Record<string, ResourceSetting>>
  /** Throws Fault for a name that no such resource can have. */
  checkName(name: string): void
  /** Throws Fault for values that do not go together. */
  checkAll?(value: (name: string) => string): void
  /** How many may have settings. */
  readonly resourcesMax?: number
}
type Config = Readonly<Record<string, string>>
type Change = Readonly<Record<string, string | null>>

export const whole = (of: { default: number; min: number; max: number; documentation: string }): ResourceSetting => ({
  default: String(of.default),
  type: 'int',
  documentation: of.documentation,
  wrong(value) {
    if (!/^\d{1,10}$/.test(value)) return 'it must be a whole number'
    const number = Number(value)
    return number < of.min || number > of.max ? `it must be from ${of.min} to ${of.max}` : null
  },
})

export class LocalResourceConfigs implements ResourceConfigs {
  readonly #kind: ResourceKind
  readonly #clock: Clock
  readonly #catalog: PartitionState
  readonly #configs = new Map<string, Config>()
  readonly #listeners: (() => void)[] = []
  /** One change at a time. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(kind: ResourceKind, clock: Clock, catalog: PartitionState) {
    this.#kind = kind
    this.#clock = clock
    this.#catalog = catalog
  }
  restore(key: string, value: Uint8Array | null): void {
    const { prefix } = this.#kind
    if (!key.startsWith(prefix)) return
    const name = key.slice(prefix.length)
    if (value === null) this.#configs.delete(name)
    else this.#configs.set(name, JSON.parse(Buffer.from(value).toString()) as Config)
  }
  onChange(call: () => void): void {
    this.#listeners.push(call)
  }

  protected value(resource: string, name: string): string {
    return this.#configs.get(resource)?.[name] ?? this.#kind.settings[name]!.default
  }
  names(): readonly string[] {
    return [...this.#configs.keys()]
  }
  current(resource: string): Config {
    return this.#configs.get(resource) ?? {}
  }
  describe(resource: string): readonly ConfigEntry[] {
    const config = this.current(resource)
    return Object.entries(this.#kind.settings).map(([name, setting]) => ({
      name,
      value: config[name] ?? setting.default,
      isDefault: config[name] === undefined,
      type: setting.type,
      documentation: setting.documentation,
    }))
  }
  check(resource: string, change: Change): Fault | null {
    try {
      this.#changed(resource, change)
      return null
    } catch (error) {
      return asFault(error)
    }
  }
  #changed(resource: string, change: Change): Config {
    this.#kind.checkName(resource)
    const config = new Map(Object.entries(this.current(resource)))
    for (const [name, value] of Object.entries(change)) {
      // What was never set may be taken away: tools do, to be sure.
      if (value === null) config.delete(name)
      else {
        this.#checkSetting(name, value)
        config.set(name, value.trim())
      }
    }
    this.#kind.checkAll?.((name) => config.get(name) ?? this.#kind.settings[name]!.default)
    const { resourcesMax = Infinity, noun } = this.#kind
    if (config.size > 0 && !this.#configs.has(resource) && this.#configs.size >= resourcesMax)
      throw new Fault('log.invalid-config', {
        name: resource,
        value: '',
        why: `there are ${resourcesMax} ${noun} already`,
      })
    return Object.fromEntries(config)
  }
  #checkSetting(name: string, value: string): void {
    const { settings, noun } = this.#kind
    const refuse = (why: string): never => {
      throw new Fault('log.invalid-config', { name, value, why })
    }
    if (!Object.hasOwn(settings, name)) {
      const near = suggestion(name, Object.keys(settings))
      return refuse(`there is no such setting of ${noun}${near === null ? '' : `; did you mean ${near}?`}`)
    }
    const why = settings[name]!.wrong(value.trim())
    if (why !== null) refuse(why)
  }
  alter(resource: string, change: Change): Promise<void> {
    const mine = this.#last.then(async () => {
      const config = this.#changed(resource, change)
      const isNone = Object.keys(config).length === 0
      const value = isNone ? null : Buffer.from(JSON.stringify(config))
      const key = Buffer.from(this.#kind.prefix + resource)
      await appendDurably(this.#catalog, [{ key, value, timeMs: this.#clock.now() }])
      if (isNone) this.#configs.delete(resource)
      else this.#configs.set(resource, config)
      for (const call of this.#listeners) call()
    })
    this.#last = mine.catch(() => undefined)
    return mine
  }
}
