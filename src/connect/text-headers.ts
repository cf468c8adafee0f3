/** Headers where the other side has names and texts alone: what is no text is base64 under its name with `-base64` behind. */
import { isUtf8 } from 'node:buffer'
import type { Header } from '../log/batch.ts'

const encodedSuffix = '-base64'

export function textHeader([name, value]: Header): readonly [name: string, text: string] {
  if (value === null) return [name, '']
  return isUtf8(value)
    ? [name, Buffer.from(value).toString('utf8')]
    : [`${name}${encodedSuffix}`, Buffer.from(value).toString('base64')]
}
/** A key likewise: text where it is one. */
export const textKey = (key: Uint8Array): string => Buffer.from(key).toString(isUtf8(key) ? 'utf8' : 'base64')
