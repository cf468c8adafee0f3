/**
 * Access keys: named secrets of users, for protocols that sign with a secret which the server must know as well (AWS
 * Signature Version 4, shared access signatures). A password is kept salted and cannot verify a signature, so these are
 * credentials of their own: definitions of kind `access-key` in the catalogue. The secret is given out once, when the key is
 * made, and is in no other answer.
 */
import { Fault } from '../lib/fault.ts'
import type { Random } from '../lib/world.ts'
import type { Catalog } from '../log/catalog.ts'

export interface AccessKey {
  readonly id: string
  readonly user: string
  readonly createdMs: number
}
export interface SecretOfKey {
  readonly user: string
  /** What both sides sign with, as text. */
  readonly secret: string
}
export interface NewAccessKey {
  readonly user: string
  /** Made up unless given, as is the secret. */
  readonly id?: string
  readonly secret?: string
}
export interface AccessKeys {
  all(): readonly AccessKey[]
  get(id: string): AccessKey | null
  /** For those who verify signatures. null: there is no such key. */
  secret(id: string): SecretOfKey | null
  /** Throws Fault security.access-key-exists, security.unacceptable-credential, security.unknown-user. */
  create(key: NewAccessKey): Promise<AccessKey & SecretOfKey>
  /** Throws Fault security.unknown-access-key. */
  remove(id: string): Promise<void>
}

const idForm = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/
const secretForm = /^[!-~]{16,256}$/
/** Letters and digits, as those who made up access keys have them. */
const idLetters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const idLength = 20
const secretBytes = 32

interface Kept {
  readonly user: string
  readonly secret: string
  readonly createdMs: number
}

export class CatalogAccessKeys implements AccessKeys {
  readonly #catalog: Catalog
  readonly #random: Random
  readonly #now: () => number
  readonly #isUser: (name: string) => boolean
  #keys = new Map<string, Kept>()

  constructor(options: { catalog: Catalog; random: Random; now: () => number; isUser: (name: string) => boolean }) {
    this.#catalog = options.catalog
    this.#random = options.random
    this.#now = options.now
    this.#isUser = options.isUser
    this.read()
  }
  /** Of the catalogue, which has changed. */
  read(): void {
    this.#keys = new Map(this.#catalog.all('access-key').map(({ name, value }) => [name, value as Kept]))
  }
  all(): readonly AccessKey[] {
    return [...this.#keys].map(([id, kept]) => shown(id, kept)).toSorted((a, b) => (a.id < b.id ? -1 : 1))
  }
  get(id: string): AccessKey | null {
    const kept = this.#keys.get(id)
    return kept === undefined ? null : shown(id, kept)
  }
  secret(id: string): SecretOfKey | null {
    const kept = this.#keys.get(id)
    return kept === undefined || !this.#isUser(kept.user) ? null : { user: kept.user, secret: kept.secret }
  }
  async create({
    user,
    id = this.#newId(),
    secret = this.#newSecret(),
  }: NewAccessKey): Promise<AccessKey & SecretOfKey> {
    if (!idForm.test(id))
      throw new Fault('security.unacceptable-credential', {
        why: 'the id of an access key has 1 to 128 letters, digits, dots, hyphens and underscores',
      })
    if (!secretForm.test(secret))
      throw new Fault('security.unacceptable-credential', { why: 'a secret has 16 to 256 printable ASCII characters' })
    if (!this.#isUser(user)) throw new Fault('security.unknown-user', { user: user.slice(0, 300) })
    if (this.#keys.has(id)) throw new Fault('security.access-key-exists', { id })
    const kept: Kept = { user, secret, createdMs: this.#now() }
    await this.#catalog.change([{ kind: 'access-key', name: id, value: kept }])
    return { id, ...kept }
  }
  async remove(id: string): Promise<void> {
    if (!this.#keys.has(id)) throw new Fault('security.unknown-access-key', { id: id.slice(0, 300) })
    await this.#catalog.change([{ kind: 'access-key', name: id, value: null }])
  }
  #newId(): string {
    return [...this.#random.bytes(idLength)].map((byte) => idLetters[byte % idLetters.length]).join('')
  }
  #newSecret(): string {
    return Buffer.from(this.#random.bytes(secretBytes)).toString('base64')
  }
}

/** What goes with the users: a name that is given again does not bring old keys back. */
export const withoutKeys = (
  catalog: Catalog,
  users: ReadonlySet<string>,
): { kind: 'access-key'; name: string; value: null }[] =>
  catalog
    .all('access-key')
    .filter(({ value }) => users.has((value as Kept).user))
    .map(({ name }) => ({ kind: 'access-key', name, value: null }))

const shown = (id: string, { user, createdMs }: Kept): AccessKey => ({ id, user, createdMs })
