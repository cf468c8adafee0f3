/**
 * Whether bytes are a value of an Avro schema. Nothing is made of them, and what they say of lengths and counts is held
 * against what is there: five bytes can claim a thousand million items.
 */
import { isUtf8 } from 'node:buffer'
import { limits } from '../../lib/limits.ts'
import { BinaryReader } from '../../flow/formats/binary.ts'
import { type AvroNode, isEmpty } from '../../schema/formats/avro.ts'

const int32 = 2 ** 31

/** Throws Malformed with what is wrong and where. */
export function checkAvro(node: AvroNode, data: Uint8Array): void {
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.length)
  const r = new BinaryReader().open(bytes, 0, bytes.length)
  check(r, node, 0)
  if (r.at !== r.end) r.fail('something after the value')
}
function check(r: BinaryReader, node: AvroNode, depth: number): void {
  if (depth > limits.jsonDepth) r.fail(`a value nested deeper than ${limits.jsonDepth}`)
  switch (node.kind) {
    case 'null':
      return
    case 'boolean':
      if (r.byte() > 1) r.fail('a boolean that is neither')
      return
    case 'int': {
      const value = r.zigzag()
      if (value < -int32 || value >= int32) r.fail('an int of more than 32 bits')
      return
    }
    case 'long':
      return r.skipVarint()
    case 'enum': {
      const index = Number(r.zigzag())
      if (index < 0 || index >= node.symbols.length) r.fail('a symbol that the enum does not have')
      return
    }
    case 'float':
      r.take(4)
      return
    case 'double':
      r.take(8)
      return
    case 'bytes':
      r.take(lengthOf(r))
      return
    case 'string':
      return checkText(r)
    case 'fixed':
      r.take(node.size)
      return
    case 'union': {
      const branch = node.branches[Number(r.zigzag())]
      return check(r, branch ?? r.fail('a branch that the union does not have'), depth + 1)
    }
    case 'record':
      if (isEmpty(node)) return
      for (const field of node.fields) check(r, field.node, depth + 1)
      return
    case 'array':
    case 'map':
      return checkItems(r, node, depth)
    case 'unreadable':
      return check(r, node.writer, depth)
  }
}
function checkItems(r: BinaryReader, node: AvroNode & { kind: 'array' | 'map' }, depth: number): void {
  const isMap = node.kind === 'map'
  const items = isMap ? node.values : node.items
  const takesNone = !isMap && isEmpty(items)
  for (;;) {
    const said = Number(r.zigzag())
    if (said === 0) return
    const bytes = said < 0 ? lengthOf(r) : null
    const from = r.at
    const count = Math.abs(said)
    // Each item takes a byte at least, or none of them does.
    if (count > (takesNone ? limits.emptyItems : r.end - r.at)) r.fail('a block of more items than there can be')
    for (let i = 0; i < count && !takesNone; i++) {
      if (isMap) checkText(r)
      check(r, items, depth + 1)
    }
    if (bytes !== null && r.at - from !== bytes) r.fail('a block of another size than it says')
  }
}
function lengthOf(r: BinaryReader): number {
  const length = Number(r.zigzag())
  return length < 0 || length > r.end - r.at ? r.fail('a length beyond the end') : length
}
function checkText(r: BinaryReader): void {
  const length = lengthOf(r)
  const at = r.take(length)
  if (!isUtf8(r.b.subarray(at, at + length))) r.fail('a text that is not UTF-8')
}
