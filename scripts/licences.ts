/** Lists the licence of every runtime dependency; exits 1 when one is not known to be compatible with Apache-2.0. */
import { readFileSync } from 'node:fs'

const compatible =
  /^(MIT|ISC|Apache-2\.0|BSD-2-Clause|BSD-3-Clause|0BSD|BlueOak-1\.0\.0|MIT-0|CC0-1\.0|Unlicense|Python-2\.0)$/
interface Package {
  readonly version: string
  readonly license?: string
  readonly dev?: boolean
}
const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as { packages: Record<string, Package> }
let wrong = 0
let count = 0
for (const [path, { version, license = 'unknown', dev }] of Object.entries(lock.packages)) {
  if (path === '' || dev === true) continue
  count++
  const parts = license.replaceAll(/[()]/g, '').split(/ OR /)
  const fine = parts.some((part) => part.split(' AND ').every((name) => compatible.test(name)))
  if (!fine) wrong++
  console.log(`${fine ? '  ' : '! '}${path.replace(/^.*node_modules\//, '')}@${version}  ${license}`)
}
console.error(`${count} runtime packages, ${wrong} with a licence to look at`)
process.exit(wrong === 0 && count > 0 ? 0 : 1)
