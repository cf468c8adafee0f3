/** The setting `kinesis`: pieces NAME=VALUE. */
import type { KinesisSettings } from '../gateway/kinesis/settings.ts'
import { kinesisDefaults } from '../gateway/kinesis/settings.ts'
import { parseDuration } from '../lib/duration.ts'
import { Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'

/** Throws Fault config.invalid. */
export function kinesisOf(pieces: readonly string[]): KinesisSettings {
  return pieces.reduce((settings, piece) => {
    const at = piece.indexOf('=')
    const [name, value] = at < 0 ? [piece, ''] : [piece.slice(0, at), piece.slice(at + 1)]
    const refuse = (why: string): Fault => new Fault('config.invalid', { setting: 'kinesis', value: piece, why })
    const read = Object.hasOwn(readers, name) ? readers[name] : undefined
    if (read === undefined) throw refuse(`it has the form NAME=VALUE, with one of ${Object.keys(readers).join(', ')}`)
    const found = read(value)
    if (typeof found === 'string') throw refuse(found)
    return { ...settings, ...found }
  }, kinesisDefaults)
}
/** Gives why not, where it is a text. */
const readers: Readonly<Record<string, (value: string) => Partial<KinesisSettings> | string>> = {
  region: (region) => (/^[a-z0-9-]{1,40}$/.test(region) ? { region } : 'a region has a name such as us-east-1'),
  account: (account) => (/^\d{12}$/.test(account) ? { account } : 'an account has 12 digits'),
  shards: (text) =>
    /^[1-9]\d{0,5}$/.test(text) && Number(text) <= limits.partitions
      ? { shardsMax: Number(text) }
      : `it is a whole number from 1 to ${limits.partitions}`,
  'change-time': (text) => ({ changeMs: parseDuration('kinesis', text) }),
  limits: (text) => (text === 'on' || text === 'off' ? { limits: text === 'on' } : 'it is on or off'),
  model: (text) => (text === 'current' || text === '2020' ? { model: text } : 'it is current or 2020'),
}
