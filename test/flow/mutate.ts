/** Bytes changed, put in and taken out at random, mostly such that mean something in JSON. */
export function mutated(text: Buffer, next: () => number): Buffer {
  const bytes = [...text]
  for (let m = 0; m < 1 + next() * 3; m++) {
    const at = Math.floor(next() * bytes.length)
    const kind = next()
    const byte =
      next() < 0.7 ? '{}[]",:0123456789.eE+-\\u tfnals\n'.charCodeAt(Math.floor(next() * 33)) : Math.floor(next() * 256)
    if (kind < 0.4) bytes[at] = byte
    else if (kind < 0.7) bytes.splice(at, 0, byte)
    else bytes.splice(at, 1)
  }
  return Buffer.from(bytes)
}
