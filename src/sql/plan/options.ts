/** WITH ( … ): known names with typed values; anything else is an error that suggests. */
import { parseBytes } from '../../lib/byte-size.ts'
import { parseDuration } from '../../lib/duration.ts'
import { Fault } from '../../lib/fault.ts'
import { SqlFault } from '../fault.ts'
import { suggestion } from '../../lib/suggestion.ts'
import type { Option } from '../syntax/ast.ts'
import { optionHints } from '../syntax/elsewhere.ts'

type Kind = 'text' | 'count' | 'number' | 'duration' | 'bytes' | 'flag' | 'names' | 'choice'
export interface OptionSpec {
  readonly kind: Kind
  readonly choices?: readonly string[]
  readonly about: string
}
export type OptionSpecs = Readonly<Record<string, OptionSpec>>

/** Settings of the topic itself may be given too, under Kafka's names. */
const topicSettings: readonly string[] = `
  retention.ms retention.bytes cleanup.policy segment.bytes segment.ms max.message.bytes
  flush.ms compression.type message.timestamp.type min.compaction.lag.ms delete.retention.ms ack.before.sync`
  .trim()
  .split(/\s+/)

export class Options {
  private readonly given = new Map<string, Option>()
  private readonly text: string

  constructor(options: readonly Option[], specs: OptionSpecs, text: string) {
    this.text = text
    for (const option of options) {
      const name = normal(option.name)
      if (this.given.has(name))
        throw new SqlFault('sql.invalid-value', `option ${option.name} is given twice`, text, option.at)
      if (!Object.hasOwn(specs, name) && !topicSettings.includes(name)) throw unknown(option, specs, text)
      this.given.set(name, option)
      const spec = Object.hasOwn(specs, name) ? specs[name] : undefined
      if (spec !== undefined) this.check(option, spec)
    }
  }
  private check(option: Option, spec: OptionSpec): void {
    if (spec.kind === 'choice' && !spec.choices!.includes(String(option.value).toLowerCase()))
      this.fail(option, `one of ${spec.choices!.join(', ')}`)
    if (spec.kind === 'flag' && typeof option.value !== 'boolean' && !['true', 'false'].includes(String(option.value)))
      this.fail(option, 'true or false')
    if (spec.kind === 'count' && !(Number.isSafeInteger(Number(option.value)) && Number(option.value) > 0))
      this.fail(option, 'a whole number from 1')
    if (spec.kind === 'number' && !(typeof option.value === 'number' && option.value >= 0))
      this.fail(option, 'a number from 0')
    if ((spec.kind === 'text' || spec.kind === 'names') && typeof option.value !== 'string')
      this.fail(option, "a text in '…'")
    if (spec.kind === 'duration') this.duration(normal(option.name))
    if (spec.kind === 'bytes') this.bytes(normal(option.name))
  }
  private fail(option: Option, wanted: string): never {
    throw new SqlFault('sql.invalid-value', `option ${option.name} must be ${wanted}`, this.text, option.valueAt)
  }
  at(name: string): number {
    return this.given.get(name)?.valueAt ?? 0
  }
  has(name: string): boolean {
    return this.given.has(name)
  }
  textOf(name: string): string | null {
    const option = this.given.get(name)
    return option === undefined ? null : String(option.value)
  }
  count(name: string): number | null {
    const option = this.given.get(name)
    return option === undefined ? null : Number(option.value)
  }
  number(name: string): number | null {
    const option = this.given.get(name)
    return option === undefined ? null : Number(option.value)
  }
  flag(name: string): boolean {
    const option = this.given.get(name)
    return option !== undefined && (option.value === true || option.value === 'true')
  }
  /** `a, b` */
  names(name: string): string[] {
    const value = this.textOf(name)
    return value === null
      ? []
      : value
          .split(',')
          .map((part) => part.trim())
          .filter((part) => part !== '')
  }
  duration(name: string): number | null {
    const option = this.given.get(name)
    if (option === undefined) return null
    if (typeof option.value === 'number')
      return this.fail(option, "a duration with its unit, like '500ms', '5s', '1h' or '7d'")
    try {
      return parseDuration(option.name, String(option.value))
    } catch (error) {
      if (error instanceof Fault) return this.fail(option, 'a duration like 500ms, 5s, 1h or 7d')
      throw error
    }
  }
  bytes(name: string): number | null {
    const option = this.given.get(name)
    if (option === undefined) return null
    try {
      return parseBytes(option.name, String(option.value))
    } catch (error) {
      if (error instanceof Fault) return this.fail(option, 'a size like 64MB, 1.5GB or 1048576')
      throw error
    }
  }
  /** What was set of the topic itself. */
  topicConfig(): Record<string, string> {
    return Object.fromEntries(
      topicSettings.flatMap((name) => (this.given.has(name) ? [[name, String(this.given.get(name)!.value)]] : [])),
    )
  }
}
/** `on.invalid`, `on-invalid` and `ON_INVALID` are one; Kafka's names keep their dots. */
function normal(name: string): string {
  const lower = name.toLowerCase()
  if (topicSettings.includes(lower)) return lower
  const dotted = lower.replaceAll('_', '.').replaceAll('-', '.')
  return topicSettings.includes(dotted) ? dotted : lower.replaceAll('.', '_').replaceAll('-', '_')
}
function unknown(option: Option, specs: OptionSpecs, text: string): SqlFault {
  const known = [...Object.keys(specs), ...topicSettings]
  const near = suggestion(option.name, known)
  const name = option.name.toLowerCase()
  const here = Object.hasOwn(optionHints, name) ? optionHints[name] : undefined
  const hint =
    here !== undefined
      ? here
      : near === null
        ? `Options here are ${Object.keys(specs).join(', ')} and settings of topics.`
        : `Perhaps you meant ${near}.`
  return new SqlFault('sql.invalid-value', `there is no option ${option.name}`, text, option.at, { hint })
}
