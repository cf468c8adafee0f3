/**
 * CRC-32C of bytes of which a few at the front change: the checksum is linear, so that what the change does to it can be
 * told without reading what comes behind. Whatever was wrong with the bytes before stays wrong.
 *
 * The change is the remainder of (difference × x^(8n)) by the polynomial, n bytes behind (zlib's `crc32_combine`, Mark
 * Adler). Bits are reflected: the highest is the coefficient of x^0.
 */
const polynomial = 0x82f63b78
const one = 0x8000_0000

/** Remainder of a product. */
function times(a: number, b: number): number {
  let product = 0
  for (let bit = one; bit !== 0; bit >>>= 1) {
    if ((a & bit) !== 0) product ^= b
    b = (b & 1) === 0 ? b >>> 1 : (b >>> 1) ^ polynomial
  }
  return product >>> 0
}
/** x^(8 × 2^k): a byte, two, four … */
const powers: number[] = [one >>> 8]
while (powers.length < 31) powers.push(times(powers.at(-1)!, powers.at(-1)!))

/** What a checksum differs by, if bytes differ by `difference` in theirs and `count` equal ones follow. */
export function crcDifference(difference: number, count: number): number {
  let shifted = difference
  for (let k = 0; count > 0; k++, count = Math.floor(count / 2))
    if (count % 2 === 1) shifted = times(powers[k]!, shifted)
  return shifted >>> 0
}
