import { Fault } from '../lib/fault.ts'
import type { Address } from '../lib/world.ts'

/** HOST:PORT; IPv6 in brackets. Throws Fault config.invalid. */
export function parseAddress(setting: string, text: string): Address {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:\s/]+)):(\d{1,5})$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port > 65535)
    throw new Fault('config.invalid', { setting, value: text, why: 'it has the form HOST:PORT' })
  return { host: match[1] ?? match[2] ?? '', port }
}
export const addressText = ({ host, port }: Address): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
