/** The listening side of TLS: what node:tls takes, and who the peer says it is. */
import type { Socket } from 'node:net'
import {
  type SecureContextOptions,
  type TLSSocket,
  type Server as TlsListener,
  type TlsOptions,
  createSecureContext,
} from 'node:tls'
import { limits } from '../limits.ts'
import type { FailedHandshake, TlsServer } from '../world.ts'

/** Throws when certificate and key are none, or are not of each other. */
export function contextOf({ cert, key, ca }: TlsServer): SecureContextOptions {
  const options: SecureContextOptions = { cert, key, minVersion: 'TLSv1.2', ...(ca === undefined ? {} : { ca }) }
  createSecureContext(options)
  return options
}
export function serverOptions(tls: TlsServer): TlsOptions {
  return {
    ...contextOf(tls),
    requestCert: tls.clientAuth !== 'none',
    // Where certificates are only asked for, `isWelcome` tells none from a wrong one.
    rejectUnauthorized: tls.clientAuth === 'required',
    handshakeTimeout: limits.tlsHandshakeMs,
  }
}
/** False for a certificate that nobody vouches for. */
export const isWelcome = (socket: TLSSocket): boolean =>
  socket.authorized || socket.getPeerX509Certificate() === undefined

/** null: the client was gone before it had said anything, as probes of ports and of health are. */
export function failedHandshake(error: Error & { code?: string }, socket: TLSSocket): FailedHandshake | null {
  // A socket that node:tls has destroyed has forgotten its peer; the one below it has not.
  const below = (socket as { _parent?: Socket })._parent
  const host = socket.remoteAddress ?? below?.remoteAddress ?? ''
  // Where node:tls itself refuses a certificate, the error says no more than that the connection is over.
  if (socket.authorizationError) return { host, why: String(socket.authorizationError), ofCertificate: true }
  const { code = error.message } = error
  if (code === 'ECONNRESET' || code === 'EPIPE') return null
  return { host, why: code, ofCertificate: code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE' }
}

/** As RFC 2253 has it, which Kafka's principals are in: the most special part first. */
export function subjectOf(socket: TLSSocket): string | null {
  const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined
  // Node gives a line for each part, escaped as the RFC asks, the most general first.
  return certificate?.subject.split('\n').toReversed().join(',') ?? null
}

/** Handshakes under way are counted: who begins them has not said a word that could be counted elsewhere. */
export function limitHandshakes(server: TlsListener): void {
  const shaking = new Set<string>()
  const nameOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`
  server.on('connection', (socket: Socket) => {
    if (shaking.size >= limits.tlsHandshakes) return void socket.destroy()
    const name = nameOf(socket)
    shaking.add(name)
    socket.once('close', () => shaking.delete(name))
  })
  server.on('secureConnection', (socket) => void shaking.delete(nameOf(socket)))
}
