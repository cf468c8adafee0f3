/** Without authentication nothing listens where other machines can reach it. */
import { Fault } from './fault.ts'
import type { Address } from './world.ts'

const loopback4 = /^127\.(?:\d{1,3}\.){2}\d{1,3}$/
/** Literal addresses and `localhost` only: another name may be given another meaning tomorrow. */
export function isLoopback(host: string): boolean {
  const plain = host.replace(/^\[|\]$/g, '').toLowerCase()
  if (plain === 'localhost' || plain === '::1' || plain === '0:0:0:0:0:0:0:1') return true
  if (loopback4.test(plain)) return plain.split('.').every((part) => Number(part) <= 255)
  return plain.startsWith('::ffff:') && isLoopback(plain.slice(7)) && loopback4.test(plain.slice(7))
}

/** Throws Fault config.not-loopback. */
export function requireLoopback(protocol: string, { host }: Address): void {
  if (!isLoopback(host)) throw new Fault('config.not-loopback', { protocol, host })
}
