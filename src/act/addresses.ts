/**
 * Where webhooks may go. A URL that a user writes must not make this program call what only this machine or its network
 * can reach (server-side request forgery): the name is looked up, every address it has is checked, and the request goes to
 * the address that was checked, whatever the name means a moment later. Ranges are those of IANA's special-purpose
 * registries; the addresses inside IPv6 that stand for IPv4 ones are judged as those.
 */
import { Fault } from '../lib/fault.ts'
import type { Net } from '../lib/world.ts'

/** An address as 16 bytes; IPv4 as ::ffff:a.b.c.d. */
type Bytes = readonly number[]

interface Range {
  readonly bytes: Bytes
  readonly bits: number
}
export interface WebhookRules {
  /** CIDR ranges that may be reached although they are special. */
  readonly allow: readonly Range[]
  readonly allowLoopback: boolean
}

/** Throws Fault config.invalid. */
export function webhookRules(allow: readonly string[], allowLoopback: boolean): WebhookRules {
  return {
    allowLoopback,
    allow: allow.map((text) => {
      const range = readRange(text)
      if (range === null)
        throw new Fault('config.invalid', {
          setting: 'webhooks.allow',
          value: text,
          why: 'an address or CIDR range is wanted',
        })
      return range
    }),
  }
}

const rangesOf = (text: string): readonly Range[] =>
  text
    .trim()
    .split(/\s+/)
    .map((one) => readRange(one)!)
const special = rangesOf(`
  0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 192.0.0.0/24 192.0.2.0/24 192.31.196.0/24
  192.52.193.0/24 192.88.99.0/24 192.168.0.0/16 192.175.48.0/24 198.18.0.0/15 198.51.100.0/24 203.0.113.0/24
  224.0.0.0/4 240.0.0.0/4 2001::/23 2001:db8::/32 2002::/16 2620:4f:8000::/48 3fff::/20`)
const loopback = rangesOf('127.0.0.0/8 ::1/128')
/** All that is routed on the IPv6 internet; the rest is private, local, multicast or not given out. */
const unicast6 = readRange('2000::/3')!
const mapped4 = readRange('::ffff:0.0.0.0/96')!
/** IPv4 behind a translator (RFC 6052): the last four bytes. */
const translated4 = readRange('64:ff9b::/96')!

/** null = it may be reached. */
export function refusal(address: string, rules: WebhookRules): string | null {
  const bytes = readAddress(address)
  if (bytes === null) return `${address} is not an address`
  if (rules.allow.some((range) => contains(range, bytes))) return null
  if (loopback.some((range) => contains(range, bytes)))
    return rules.allowLoopback ? null : `${address} is this machine itself`
  if (contains(translated4, bytes)) return refusal(bytes.slice(12).join('.'), rules)
  if (special.some((range) => contains(range, bytes)) || !(contains(mapped4, bytes) || contains(unicast6, bytes)))
    return `${address} is not on the public internet`
  return null
}

/** The address to send to. Throws Fault act.address-refused, and what looking up the name throws. */
export async function checkTarget(url: URL, net: Net, rules: WebhookRules): Promise<string> {
  const refuse = (why: string): Fault => new Fault('act.address-refused', { url: `${url.protocol}//${url.host}`, why })
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw refuse('only http and https are sent to')
  if (url.username !== '' || url.password !== '') throw refuse('it holds a password')
  // The URL parser has already turned 2130706433, 0x7f.1 and the like into 127.0.0.1.
  const addresses = await net.resolve(url.hostname.replace(/^\[|\]$/g, ''))
  for (const address of addresses) {
    const why = refusal(address, rules)
    if (why !== null) throw refuse(why)
  }
  const [first] = addresses
  if (first === undefined) throw refuse('the name has no address')
  return first
}

function contains({ bytes, bits }: Range, address: Bytes): boolean {
  for (let i = 0; i < bits; i += 8) {
    const mask = bits - i >= 8 ? 0xff : (0xff << (8 - (bits - i))) & 0xff
    if ((bytes[i >> 3]! & mask) !== (address[i >> 3]! & mask)) return false
  }
  return true
}

function readRange(text: string): Range | null {
  const [address = '', prefix, ...more] = text.split('/')
  const bytes = readAddress(address)
  if (bytes === null || more.length > 0) return null
  const width = address.includes(':') ? 128 : 32
  const bits = prefix === undefined ? width : /^\d{1,3}$/.test(prefix) ? Number(prefix) : NaN
  return Number.isNaN(bits) || bits > width ? null : { bytes, bits: bits + 128 - width }
}
/** IPv4 in four decimal parts, IPv6 as RFC 4291 has it; nothing else. */
function readAddress(text: string): Bytes | null {
  if (!text.includes(':')) {
    const four = readFour(text)
    return four === null ? null : [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...four]
  }
  const halves = text.split('::')
  if (halves.length > 2) return null
  const groups = halves.map(readGroups)
  const [front, back] = groups
  if (front === null || front === undefined || back === null) return null
  if (back === undefined) return front.length === 16 ? front : null
  const gap = 16 - front.length - back.length
  return gap < 2 ? null : [...front, ...Array<number>(gap).fill(0), ...back]
}
function readGroups(text: string): number[] | null {
  if (text === '') return []
  const out: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (i === parts.length - 1 && part.includes('.')) {
      const four = readFour(part)
      if (four === null) return null
      out.push(...four)
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null
      const group = Number.parseInt(part, 16)
      out.push(group >> 8, group & 0xff)
    }
  }
  return out
}
function readFour(text: string): number[] | null {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) return null
  return parts.map(Number)
}
