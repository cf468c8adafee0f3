/**
 * Makes a change of the audit evident: each record carries its number and the SHA-256 of the one before it, so nothing can be
 * altered, taken out, put in or reordered without breaking every link that follows (Schneier and Kelsey, "Secure Audit Logs
 * to Support Computer Forensics", 1999, without the keys). What is cut off at the end is evident only to who knows the
 * newest hash: `millrace log verify` says it.
 *
 * Each run of a program makes a chain of its own, which begins at the newest record that it finds: several programs may
 * write one audit.
 */
import { createHash } from 'node:crypto'

interface Link {
  readonly chain: string
  readonly number: number
  /** SHA-256 of the value before, in hexadecimal; '' at the very beginning. */
  readonly previous: string
}

const hashOf = (value: Uint8Array): string => createHash('sha256').update(value).digest('hex')

export class AuditChain {
  readonly #chain: string
  #number = 0
  #previous: string

  /** `newest`: the value of the newest record there is. */
  constructor(chain: string, newest: Uint8Array | null) {
    this.#chain = chain
    this.#previous = newest === null ? '' : hashOf(newest)
  }
  /** The values of the next records. They count once `accepted` is called: what could not be written is linked again. */
  link(entries: readonly object[]): { readonly values: Buffer[]; accepted(): void } {
    let [number, previous] = [this.#number, this.#previous]
    const values = entries.map((facts) => {
      const link: Link = { chain: this.#chain, number: number++, previous }
      const value = Buffer.from(JSON.stringify({ ...facts, ...link }))
      previous = hashOf(value)
      return value
    })
    const accepted = (): void => {
      this.#number = number
      this.#previous = previous
    }
    return { values, accepted }
  }
}

/** How many records back a chain may begin: others write meanwhile. */
const beginsWithin = 10_000

/** Given the records in their order: what breaks a chain. */
export class AuditCheck {
  readonly problems: string[] = []
  records = 0
  /** Of the newest record. */
  newest = ''
  readonly #chains = new Map<string, { number: number; hash: string }>()
  /** Hashes of the newest records, oldest first. */
  readonly #recent = new Set<string>()

  /** `value` null: no record of the audit has none. */
  add(offset: number, value: Uint8Array | null): void {
    const link = value === null ? null : linkOf(value)
    if (value === null || link === null) return void this.problems.push(`offset ${offset} is no record of the audit`)
    const hash = hashOf(value)
    // An append whose answer was lost is repeated: that says nothing new.
    if (this.#recent.has(hash)) return
    const before = this.#chains.get(link.chain)
    const problem = before === undefined ? this.#beginning(link) : continuation(link, before)
    if (problem !== null) this.problems.push(`offset ${offset}: ${problem}`)
    this.#chains.set(link.chain, { number: link.number, hash })
    this.#recent.add(hash)
    if (this.#recent.size > beginsWithin)
      for (const oldest of this.#recent.keys()) {
        this.#recent.delete(oldest)
        break
      }
    this.records++
    this.newest = hash
  }
  #beginning({ number, previous }: Link): string | null {
    if (number !== 0) return `the records before number ${number} are missing`
    const isKnown = previous === '' ? this.records === 0 : this.#recent.has(previous)
    return isKnown ? null : 'what it says was there before it is not, or was changed'
  }
}
function continuation(link: Link, before: { readonly number: number; readonly hash: string }): string | null {
  if (link.number !== before.number + 1) return `number ${link.number} follows number ${before.number}`
  return link.previous === before.hash ? null : `what is before number ${link.number} was changed`
}
function linkOf(value: Uint8Array): Link | null {
  try {
    const { chain, number, previous } = JSON.parse(Buffer.from(value).toString()) as Partial<Link>
    if (typeof chain !== 'string' || typeof number !== 'number' || typeof previous !== 'string') return null
    return { chain, number, previous }
  } catch {
    return null
  }
}
