/**
 * Users: definitions in the catalogue, of kind `user`. Kept is what SCRAM needs of a password (salted, never the password);
 * PLAIN and HTTP's Basic check a password against the same.
 */
import { createHmac } from 'node:crypto'
import { Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import type { Random } from '../lib/world.ts'
import type { Catalog, CatalogEntry } from '../log/catalog.ts'
import { withoutKeys } from './access-keys.ts'
import {
  type ScramCredential,
  type ScramMechanism,
  checkIterations,
  decoyCredential,
  hashOf,
  isPasswordOf,
  makeCredential,
  scramMechanisms,
} from './scram.ts'

type Credentials = Readonly<Partial<Record<ScramMechanism, ScramCredential>>>
export interface UserDefinition {
  readonly name: string
  /** Nothing is refused to it. */
  readonly super: boolean
  readonly scram: Credentials
}
export interface UserChange {
  readonly name: string
  readonly super?: boolean
  /** null takes a credential away. */
  readonly scram?: Readonly<Partial<Record<ScramMechanism, ScramCredential | null>>>
}
export interface Users {
  all(): readonly UserDefinition[]
  get(name: string): UserDefinition | null
  /** The credential that SCRAM goes by. A stand-in for a name that has none, which nothing proves. */
  scram(mechanism: ScramMechanism, name: string): { readonly credential: ScramCredential; readonly known: boolean }
  /** Takes as long for names and passwords that are wrong. Throws Fault http.too-many when too many wait. */
  hasPassword(name: string, password: string): Promise<boolean>
  /** What is kept of a password, for every mechanism. Throws Fault security.unacceptable-credential. */
  credentials(password: string): Promise<Credentials>
  /** What `change` would throw. */
  check(changes: readonly UserChange[]): Fault | null
  /** Makes what is not there. A user without a credential and without `super` is no more. Throws Fault. */
  change(changes: readonly UserChange[]): Promise<void>
  /** Throws Fault security.unknown-user. */
  remove(name: string): Promise<void>
}

const nameLengthMax = 255
const passwordBytesMax = 1024
/** Passwords being checked at once: each keeps a thread of the pool busy that also syncs the log. */
const checksAtOnce = 2
const checksWaitingMax = 500
/** Proven passwords that need no second proof until users change: HTTP sends them with every request. */
const provenMax = 1_000
const secretBytes = 32

export class CatalogUsers implements Users {
  readonly #catalog: Catalog
  readonly #random: Random
  readonly #secret: Uint8Array
  readonly #isSuper: (name: string) => boolean
  readonly #hasSuper: boolean
  #users = new Map<string, UserDefinition>()
  #proven = new Set<string>()
  #checking = 0
  readonly #waiting: (() => void)[] = []

  /** `superUsers`: names by configuration. */
  constructor(options: { catalog: Catalog; random: Random; superUsers: ReadonlySet<string> }) {
    const { catalog, random, superUsers } = options
    this.#catalog = catalog
    this.#random = random
    this.#isSuper = (name) => superUsers.has(name)
    this.#hasSuper = superUsers.size > 0
    this.#secret = random.bytes(secretBytes)
    this.read()
  }
  /** Of the catalogue, which has changed. */
  read(): void {
    this.#users = new Map(this.#catalog.all('user').map((entry) => [entry.name, asUser(entry)]))
    this.#proven = new Set()
  }

  all(): readonly UserDefinition[] {
    return [...this.#users.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1))
  }
  get(name: string): UserDefinition | null {
    return this.#users.get(name) ?? null
  }
  get isEmpty(): boolean {
    return this.#users.size === 0
  }
  scram(mechanism: ScramMechanism, name: string): { credential: ScramCredential; known: boolean } {
    const credential = this.#users.get(name)?.scram[mechanism]
    if (credential !== undefined) return { credential, known: true }
    return { credential: decoyCredential(mechanism, name, this.#secret), known: false }
  }

  async hasPassword(name: string, password: string): Promise<boolean> {
    if (Buffer.byteLength(password) > passwordBytesMax || name.length > nameLengthMax) return false
    const proof = createHmac('sha256', this.#secret)
      .update(JSON.stringify([name, password]))
      .digest('base64')
    // Of the users as they are now: when they change meanwhile, nothing is learned for later.
    const proven = this.#proven
    if (proven.has(proof)) return true
    await this.#begin()
    try {
      // Every mechanism is tried: how long it takes does not tell which the user has, or whether there is one.
      const tried = scramMechanisms.map(async (mechanism) => {
        const { credential, known } = this.scram(mechanism, name)
        return (await isPasswordOf(mechanism, credential, password)) && known
      })
      const holds = (await Promise.all(tried)).includes(true)
      if (holds && proven.size >= provenMax) proven.clear()
      if (holds) proven.add(proof)
      return holds
    } finally {
      this.#checking--
      this.#waiting.shift()?.()
    }
  }
  async #begin(): Promise<void> {
    if (this.#checking >= checksAtOnce) {
      if (this.#waiting.length >= checksWaitingMax)
        throw new Fault('http.too-many', { what: 'passwords being checked', max: checksWaitingMax })
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    this.#checking++
  }

  async credentials(password: string): Promise<Credentials> {
    const bytes = Buffer.byteLength(password)
    if (bytes === 0 || bytes > passwordBytesMax)
      throw new Fault('security.unacceptable-credential', { why: `a password has 1 to ${passwordBytesMax} bytes` })
    const random = (count: number): Uint8Array => this.#random.bytes(count)
    const made = scramMechanisms.map(
      async (mechanism) => [mechanism, await makeCredential(mechanism, password, { random })] as const,
    )
    return Object.fromEntries(await Promise.all(made))
  }

  check(changes: readonly UserChange[]): Fault | null {
    try {
      this.#entries(changes)
      return null
    } catch (error) {
      if (error instanceof Fault) return error
      throw error
    }
  }
  async change(changes: readonly UserChange[]): Promise<void> {
    await this.#catalog.change(this.#entries(changes))
  }
  #entries(changes: readonly UserChange[]): { kind: 'user' | 'access-key'; name: string; value: unknown }[] {
    const users = changes.map((change) => this.#changed(change))
    const isSuper = (one: UserDefinition): boolean => one.super || this.#isSuper(one.name)
    const first = users.find(isUser)
    if (this.isEmpty && !this.#hasSuper && first !== undefined && !users.some(isSuper))
      throw new Fault('security.first-user', { user: first.name })
    const gone = users.filter((one) => !isUser(one)).map(({ name }) => name)
    const changed = users.map((one) => ({
      kind: 'user' as const,
      name: one.name,
      value: isUser(one) ? { super: one.super, scram: one.scram } : null,
    }))
    return [...changed, ...withoutKeys(this.#catalog, new Set(gone))]
  }
  #changed({ name, scram = {}, super: isSuper }: UserChange): UserDefinition {
    if (name === '' || name.length > nameLengthMax || /[\0-\x1f\x7f]/.test(name))
      throw new Fault('security.invalid-user', { user: name.slice(0, 100) })
    const before = this.#users.get(name)
    const after = new Map(Object.entries({ ...before?.scram }))
    for (const mechanism of scramMechanisms) {
      const credential = scram[mechanism]
      if (credential === undefined) continue
      if (credential === null) after.delete(mechanism)
      else {
        checkCredential(mechanism, credential)
        after.set(mechanism, credential)
      }
    }
    return { name, super: isSuper ?? before?.super ?? false, scram: Object.fromEntries(after) }
  }
  async remove(name: string): Promise<void> {
    if (!this.#users.has(name)) throw new Fault('security.unknown-user', { user: name })
    await this.#catalog.change([{ kind: 'user', name, value: null }, ...withoutKeys(this.#catalog, new Set([name]))])
  }
}
const isUser = ({ super: isSuper, scram }: UserDefinition): boolean => isSuper || Object.keys(scram).length > 0

function checkCredential(mechanism: ScramMechanism, { salt, iterations, storedKey, serverKey }: ScramCredential): void {
  checkIterations(iterations)
  const { bytes } = hashOf[mechanism]
  const length = (text: string): number => Buffer.from(text, 'base64').length
  const isSalt = length(salt) > 0 && length(salt) <= limits.saltBytes
  if (!isSalt || length(storedKey) !== bytes || length(serverKey) !== bytes)
    throw new Fault('security.unacceptable-credential', { why: 'the salt or the salted password has a wrong length' })
}

function asUser({ name, value }: CatalogEntry): UserDefinition {
  const { super: isSuper = false, scram = {} } = value as Partial<UserDefinition>
  return { name, super: isSuper, scram }
}
