/** Request and response headers: versions 1 and 2 of the request's, 0 and 1 of the response's; the later are flexible. */
import { Fault } from '../../lib/fault.ts'
import type { Api } from './codec/shape.ts'
import type { WireReader, WireWriter } from './codec/wire.ts'

export interface RequestHead {
  readonly key: number
  readonly version: number
  readonly correlationId: number
}
const apiVersionsKey = 18

export function readHead(input: WireReader): RequestHead {
  return { key: input.int16(), version: input.int16(), correlationId: input.int32() }
}
/** The rest of the header, whose form depends on API and version. */
export function readClientId(input: WireReader, flexible: boolean): string {
  const length = input.nullableLength(input.int16())
  const clientId = length < 0 ? '' : input.text(length)
  if (flexible)
    for (let tags = input.count(input.uvarint(), 2); tags > 0; tags--) {
      input.uvarint()
      const end = input.taggedEnd(input.uvarint())
      input.at = end
    }
  return clientId
}
export const isFlexible = (api: Api, version: number): boolean => version >= api.flexible

/** An ApiVersions answer has the plain header in every version: its reader does not know yet what the server speaks. */
export function writeResponseHead(out: WireWriter, api: Api, version: number, correlationId: number): void {
  out.int32(correlationId)
  if (isFlexible(api, version) && api.key !== apiVersionsKey) out.uvarint(0)
}

/** For clients (tests, tools): the header of a request. */
export function writeRequestHead(
  out: WireWriter,
  api: Api,
  version: number,
  correlationId: number,
  clientId: string,
): void {
  out.int16(api.key)
  out.int16(version)
  out.int32(correlationId)
  out.text(clientId)
  if (isFlexible(api, version)) out.uvarint(0)
}
export function readResponseHead(input: WireReader, api: Api, version: number): number {
  const correlationId = input.int32()
  if (isFlexible(api, version) && api.key !== apiVersionsKey && input.uvarint() !== 0)
    throw new Fault('wire.malformed', { what: 'tags in a response header' })
  return correlationId
}
