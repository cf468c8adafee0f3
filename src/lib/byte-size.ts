import { Fault } from './fault.ts'

const unitBytes: Readonly<Record<string, number>> = { B: 1, kB: 2 ** 10, MB: 2 ** 20, GB: 2 ** 30, TB: 2 ** 40 }

/** `256MB`, `1.5GB`, `1048576` in bytes; a kB is 1024 of them, as in PostgreSQL. Throws Fault config.invalid. */
export function parseBytes(setting: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?(B|kB|MB|GB|TB)?$/.exec(text)
  const bytes = match === null ? NaN : Math.round(Number(match[1]) * unitBytes[match[2] ?? 'B']!)
  if (!Number.isSafeInteger(bytes) || bytes === 0)
    throw new Fault('config.invalid', { setting, value: text, why: 'a size looks like 64MB, 1.5GB or 1048576' })
  return bytes
}
