import { handler } from '../handler.ts'
import { saslCode } from '../session.ts'
import { saslHandshakeApi } from '../../../wire/kafka/messages/17-sasl-handshake.ts'

/** After version 0 the messages of the exchange come without headers; the connection knows. */
export const saslHandshake = handler({
  api: saslHandshakeApi,
  versions: [0, 1],
  access: { needs: [], open: 'it is how a client begins to say who it is' },
  handle({ mechanism }, { session, version, endAfter }) {
    const { error, mechanisms } = session.handshake(mechanism, version)
    if (error !== saslCode.none) endAfter()
    return { errorCode: error, mechanisms: [...mechanisms] }
  },
})
