/**
 * Settings of connectors: fields as data, their values as texts. What a connector is given is checked by its fields, and the
 * tables of docs/connect.md come from them. A secret may stand in a file instead: `password.file` names it.
 */
import { parseBytes } from '../lib/byte-size.ts'
import { parseDuration } from '../lib/duration.ts'
import { Fault } from '../lib/fault.ts'
import { suggestion } from '../lib/suggestion.ts'

export interface Field {
  readonly name: string
  readonly type: 'text' | 'file' | 'list' | 'count' | 'number' | 'duration' | 'size' | 'truth' | readonly string[]
  readonly about: string
  /** Absent: there is none, and it may be left out. */
  readonly default?: string
  readonly required?: true
  /** Never shown; `NAME.file` may name a file that holds it. */
  readonly secret?: true
}
export type Given = Readonly<Record<string, string>>
/** Files of the machine that settings name. */
export interface Files {
  read(path: string): string
  /** Why settings may not name it; null: they may. */
  refuses(path: string): string | null
}

const fileSuffix = '.file'
const shownSecret = '…'

/** What was given, read by its fields. */
export class Settings {
  readonly #fields: ReadonlyMap<string, Field>
  readonly #given: Given
  readonly #files: Files

  /** Throws Fault connect.invalid-setting. */
  constructor(fields: readonly Field[], given: Given, files: Files) {
    this.#fields = new Map(fields.map((field) => [field.name, field]))
    this.#given = given
    this.#files = files
    for (const name of Object.keys(given)) this.#checkName(name)
    for (const field of fields) this.#check(field)
  }
  #checkName(name: string): void {
    const field = this.#fields.get(name) ?? this.#fields.get(withoutFile(name))
    if (field !== undefined && (field.name === name || field.secret === true)) return
    const near = suggestion(name, [...this.#fields.keys()])
    throw wrong(name, near === null ? 'there is no such setting' : `there is no such setting; is ${near} meant?`)
  }
  #check({ name, type, required, secret }: Field): void {
    if (this.#given[name] !== undefined && this.#given[name + fileSuffix] !== undefined)
      throw wrong(name, 'is given twice')
    const file = type === 'file' ? name : name + fileSuffix
    const why = this.#given[file] === undefined ? null : this.#files.refuses(this.#given[file])
    if (why !== null) throw wrong(file, why)
    if (required === true && !this.has(name)) throw wrong(name, 'is missing')
    // A file may come later than the definition.
    if (!this.has(name) || (secret === true && this.#given[name] === undefined)) return
    if (type === 'count') this.count(name)
    else if (type === 'number') this.number(name)
    else if (type === 'duration') this.duration(name)
    else if (type === 'size') this.size(name)
    else if (type === 'truth') this.truth(name)
    else if (typeof type !== 'string' && !type.includes(this.text(name)!))
      throw wrong(name, `is one of ${type.join(', ')}`)
  }

  has(name: string): boolean {
    return this.#given[name] !== undefined || this.#given[name + fileSuffix] !== undefined
  }
  /** In the definition itself, not in a file. */
  isGiven(name: string): boolean {
    return this.#given[name] !== undefined
  }
  text(name: string): string | null {
    const field = this.#fields.get(name)
    const file = this.#given[name + fileSuffix]
    if (file === undefined) return this.#given[name] ?? field?.default ?? null
    try {
      return this.#files.read(file).replace(/\r?\n$/, '')
    } catch (error) {
      throw new Fault(
        'connect.invalid-setting',
        { setting: name + fileSuffix, why: `${file} cannot be read (${(error as Error).message})` },
        error,
      )
    }
  }
  /** What a field that names a file holds. */
  file(name: string): string | null {
    const path = this.text(name)
    if (path === null) return null
    try {
      return this.#files.read(path)
    } catch (error) {
      throw new Fault(
        'connect.invalid-setting',
        { setting: name, why: `${path} cannot be read (${(error as Error).message})` },
        error,
      )
    }
  }
  list(name: string): readonly string[] {
    return (this.text(name) ?? '')
      .split(',')
      .map((one) => one.trim())
      .filter((one) => one !== '')
  }
  /** A whole number. */
  count(name: string): number | null {
    const text = this.text(name)
    if (text === null) return null
    if (!/^\d{1,12}$/.test(text)) throw wrong(name, 'is a whole number')
    return Number(text)
  }
  number(name: string): number | null {
    const text = this.text(name)
    if (text === null) return null
    if (!/^\d{1,9}(\.\d{1,9})?$/.test(text)) throw wrong(name, 'is a number')
    return Number(text)
  }
  /** In milliseconds. */
  duration(name: string): number | null {
    const text = this.text(name)
    return text === null ? null : parseDuration(name, text)
  }
  size(name: string): number | null {
    const text = this.text(name)
    return text === null ? null : parseBytes(name, text)
  }
  truth(name: string): boolean {
    const text = this.text(name) ?? 'false'
    if (text !== 'true' && text !== 'false') throw wrong(name, 'is true or false')
    return text === 'true'
  }
}

export const wrong = (setting: string, why: string): Fault => new Fault('connect.invalid-setting', { setting, why })

/** As they may be shown to whoever may look. */
export function shownSettings(fields: readonly Field[], given: Given): Given {
  const secret = new Set(fields.filter((field) => field.secret === true).map(({ name }) => name))
  const known = new Set(fields.map(({ name }) => name))
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => {
      // What is not known any more may have been a secret.
      const isOpen = (known.has(name) && !secret.has(name)) || secret.has(withoutFile(name))
      return [name, isOpen && (!secret.has(name) || name.endsWith(fileSuffix)) ? value : shownSecret]
    }),
  )
}
const withoutFile = (name: string): string => (name.endsWith(fileSuffix) ? name.slice(0, -fileSuffix.length) : name)
