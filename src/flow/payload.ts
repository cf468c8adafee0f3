/**
 * Where the wanted fields of a JSON payload lie. The whole text is checked on the way. Names are compared as bytes with
 * those that stood at the same place in the payload before: payloads of a topic mostly have their fields in one order.
 */
import { isUtf8 } from 'node:buffer'
import { Misfit } from './decode-value.ts'
import { type FieldVisitor, JsonSyntax, scanObject, skipSpace, stringText, valueEnd } from './json-scan.ts'

/** Positions of each wanted value in the payload located last; `from` −1 = missing. */
export interface Places {
  readonly from: Int32Array
  readonly to: Int32Array
}
export class FieldLocator {
  readonly places: Places
  private readonly root: Target

  /** `paths`: by place; null = a place that is not of the payload. */
  constructor(paths: readonly (readonly string[] | null)[]) {
    this.places = { from: new Int32Array(paths.length), to: new Int32Array(paths.length) }
    this.root = new Target(this.places, 0)
    paths.forEach((path, place) => {
      if (path !== null) this.root.at(path).wanted.push(place)
    })
  }
  clear(): void {
    this.places.from.fill(-1)
  }
  /** The payload is one value as a whole. */
  whole(length: number): void {
    for (const place of this.root.wanted) {
      this.places.from[place] = 0
      this.places.to[place] = length
    }
  }
  /** Throws JsonSyntax, or Misfit where fields are wanted and it is no object. */
  locate(b: Buffer): void {
    if (!isUtf8(b)) throw new JsonSyntax('it is not UTF-8', null)
    const at = skipSpace(b, 0)
    const end = this.root.enter(b, at, b.length)
    if (skipSpace(b, end) !== b.length) throw new JsonSyntax('something after the value', end)
  }
}

interface Seen {
  readonly name: Buffer
  readonly child: Target | null
}
/** A value of interest: taken as a whole by `wanted`, or an object with fields of interest. */
class Target implements FieldVisitor {
  readonly wanted: number[] = []
  private readonly places: Places
  private readonly depth: number
  private readonly children = new Map<string, Target>()
  /** What stood at each place of the object before. */
  private readonly seen: Seen[] = []
  private next = 0
  private bytes: Buffer = Buffer.alloc(0)

  constructor(places: Places, depth: number) {
    this.places = places
    this.depth = depth
  }
  at(path: readonly string[]): Target {
    const [name, ...rest] = path
    if (name === undefined) return this
    let child = this.children.get(name)
    if (child === undefined) this.children.set(name, (child = new Target(this.places, this.depth + 1)))
    return child.at(rest)
  }
  /** Scans the value at `at`; gives its end. */
  enter(b: Buffer, at: number, end: number): number {
    const isObject = b[at] === 123
    let to: number
    if (isObject && this.children.size > 0) {
      this.bytes = b
      this.next = 0
      to = scanObject(b, at, end, this.depth, this)
    } else {
      to = valueEnd(b, at, end, this.depth)
      if (!isObject && this.depth === 0 && this.wanted.length === 0) throw new Misfit('is not an object')
    }
    this.take(at, to)
    return to
  }
  private take(from: number, to: number): void {
    for (let i = 0; i < this.wanted.length; i++) {
      this.places.from[this.wanted[i]!] = from
      this.places.to[this.wanted[i]!] = to
    }
  }
  field(keyFrom: number, keyTo: number, escaped: boolean, from: number, to: number): void {
    const child = this.childAt(this.next++, keyFrom, keyTo, escaped)
    if (child === null) return
    // Of equal names the last one counts, with all that lies below it.
    if (child.children.size > 0) {
      child.forget()
      child.enter(this.bytes, from, to)
    } else child.take(from, to)
  }
  private forget(): void {
    for (const place of this.wanted) this.places.from[place] = -1
    for (const child of this.children.values()) child.forget()
  }
  private childAt(index: number, from: number, to: number, escaped: boolean): Target | null {
    const known = this.seen[index]
    if (known !== undefined && !escaped && isName(this.bytes, from, to, known.name)) return known.child
    const name = stringText(this.bytes, from, to, escaped)
    const child = this.children.get(name) ?? null
    if (!escaped && index < seenMax) this.seen[index] = { name: Buffer.from(this.bytes.subarray(from, to)), child }
    return child
  }
}
/** Objects with more fields than this are looked up by name from there on. */
const seenMax = 256

function isName(b: Buffer, from: number, to: number, name: Buffer): boolean {
  if (to - from !== name.length) return false
  for (let i = 0; i < name.length; i++) if (b[from + i] !== name[i]) return false
  return true
}
