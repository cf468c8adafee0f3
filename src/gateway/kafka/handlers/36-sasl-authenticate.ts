import { code, handler, shortened } from '../handler.ts'
import { saslAuthenticateApi } from '../../../wire/kafka/messages/36-sasl-authenticate.ts'

const nothing = new Uint8Array(0)

export const saslAuthenticate = handler({
  api: saslAuthenticateApi,
  versions: [0, 2],
  access: { needs: [], open: 'it is how a client says who it is' },
  async handle({ authBytes }, { session, security, access, endAfter }) {
    const outcome = await session.authenticate(authBytes)
    if ('reply' in outcome)
      return {
        errorCode: code.none,
        errorMessage: null,
        authBytes: outcome.reply,
        sessionLifetimeMs: outcome.lifetimeMs,
      }
    endAfter()
    const { error: errorCode, message } = outcome
    const errorMessage = shortened(message)
    const { subject } = access
    security.audit.note({
      subject,
      via: 'kafka',
      action: 'authenticate',
      resources: [],
      outcome: 'refused',
      detail: errorMessage,
    })
    return { errorCode, errorMessage, authBytes: nothing }
  },
})
