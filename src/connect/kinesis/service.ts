/** The service through the AWS SDK, and its errors as faults. */
import type { KinesisClient } from '@aws-sdk/client-kinesis'
import { Fault } from '../../lib/fault.ts'
import type { SinkHost, SourceHost } from '../kind.ts'
import { loadPackage } from '../packages.ts'
import type { Settings } from '../settings.ts'

export type Sdk = typeof import('@aws-sdk/client-kinesis')
const version = '3'

export interface Service {
  readonly sdk: Sdk
  readonly client: KinesisClient
  /** Names what was asked for, in faults. */
  ask<T>(what: string, call: () => Promise<T>): Promise<T>
}

/** Throws Fault connect.missing-package, connect.invalid-setting. */
export async function openService(host: SourceHost | SinkHost, settings: Settings): Promise<Service> {
  const sdk = await loadPackage<Sdk>(host.load, '@aws-sdk/client-kinesis', version)
  const endpoint = settings.text('endpoint')
  const accessKeyId = settings.text('access.key.id')
  const sessionToken = settings.text('session.token')
  const client = new sdk.KinesisClient({
    region: settings.text('region')!,
    ...(endpoint === null ? {} : { endpoint }),
    ...(accessKeyId === null
      ? {}
      : {
          credentials: {
            accessKeyId,
            secretAccessKey: settings.text('secret.access.key')!,
            ...(sessionToken === null ? {} : { sessionToken }),
          },
        }),
  })
  const ask = async <T>(what: string, call: () => Promise<T>): Promise<T> => {
    try {
      return await call()
    } catch (error) {
      if (host.signal.aborted) throw new Fault('log.closed', { what: 'the connector' }, error)
      throw faultOf(what, error)
    }
  }
  return { sdk, client, ask }
}

/** What asking again does not mend. */
const lasting = new Set([
  'AccessDeniedException',
  'InvalidArgumentException',
  'InvalidSignatureException',
  'MissingAuthenticationTokenException',
  'ResourceNotFoundException',
  'UnrecognizedClientException',
  'ValidationException',
])
function faultOf(what: string, error: unknown): Fault {
  const { name = 'error', message = '' } = error as { name?: string; message?: string }
  const why = `${name}: ${message === '' ? String(error) : message}`
  return new Fault(lasting.has(name) ? 'connect.refused' : 'connect.unavailable', { what, why }, error)
}
export const nameOf = (error: unknown): string => {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  return (cause as { name?: string }).name ?? ''
}
