/**
 * What payloads of a topic look like: the fields of each object that holds a wanted one, in the order in which they stood
 * so far. Any of them may be missing. Whoever reads by it falls back to the complete parser for what is different.
 */
import { scanObject, skipSpace, stringText } from './json-scan.ts'

export interface ShapeField {
  /** The name's bytes, as they stand between the quotes. */
  readonly name: Buffer
  /** Position of the column that wants the value as a whole; −1 = none does. */
  readonly column: number
  /** Fields inside it that are wanted. */
  readonly child: ObjectShape | null
}
/** Names longer than this are not learnt, nor are more than so many: they are read by the complete parser. */
const nameMax = 64
const fieldsMax = 96
/** Payloads in another order before the newest one's is learnt instead. */
const contradictionsMax = 64

export class ObjectShape {
  readonly depth: number
  fields: ShapeField[] = []
  private readonly columns = new Map<string, number>()
  private readonly children = new Map<string, ObjectShape>()
  private contradictions = 0

  /** By column where its value lies; null = in no payload. A path is never the beginning of another. */
  constructor(paths: readonly (readonly string[] | null)[], depth = 0) {
    this.depth = depth
    const below = new Map<string, (readonly string[] | null)[]>()
    for (const [column, path] of paths.entries()) {
      if (path === null) continue
      const [name, ...rest] = path
      if (rest.length === 0) this.columns.set(name!, column)
      else {
        const inside = below.get(name!) ?? paths.map(() => null)
        inside[column] = rest
        below.set(name!, inside)
      }
    }
    for (const [name, inside] of below) this.children.set(name, new ObjectShape(inside, depth + 1))
  }
  /** Takes over what an object that is valid JSON has that is not known; true if that changed anything. */
  learn(b: Buffer, from: number, to: number): boolean {
    const at = skipSpace(b, from)
    if (b[at] !== 123) return false
    const found: ShapeField[] = []
    let isChanged = false
    scanObject(b, at, to, 0, {
      field: (keyFrom, keyTo, escaped, valueFrom, valueTo) => {
        if (escaped || keyTo - keyFrom > nameMax || keyTo === keyFrom || found.length > fieldsMax) return
        const name = stringText(b, keyFrom, keyTo, false)
        const child = this.children.get(name) ?? null
        found.push({ name: Buffer.from(b.subarray(keyFrom, keyTo)), column: this.columns.get(name) ?? -1, child })
        if (child?.learn(b, valueFrom, valueTo) === true) isChanged = true
      },
    })
    return this.merge(found) || isChanged
  }
  private merge(found: readonly ShapeField[]): boolean {
    const merged = [...this.fields]
    let place = 0
    for (const [i, field] of found.entries()) {
      const isThis = ({ name }: ShapeField): boolean => name.equals(field.name)
      if (found.findIndex(isThis) < i) return false
      const known = merged.findIndex(isThis)
      if (known >= 0 && known < place) return this.contradicted(found)
      if (known < 0) merged.splice(place++, 0, field)
      else place = known + 1
    }
    if (merged.length === this.fields.length || merged.length > fieldsMax) return false
    this.fields = merged
    return true
  }
  private contradicted(found: readonly ShapeField[]): boolean {
    if (++this.contradictions < contradictionsMax || found.length > fieldsMax) return false
    this.contradictions = 0
    this.fields = [...found]
    return true
  }
}
