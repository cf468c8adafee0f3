import { Fault } from '../../../lib/fault.ts'
import {
  type ScramCredential,
  type ScramMechanism,
  checkIterations,
  credentialOf,
  hashOf,
  scramMechanisms,
} from '../../../security/scram.ts'
import type { UserChange, Users } from '../../../security/users.ts'
import type { Decoded } from '../../../wire/kafka/codec/shape.ts'
import { attempt, code, errorCode, errorMessage, handler } from '../handler.ts'
import { alterUserScramCredentialsApi } from '../../../wire/kafka/messages/51-alter-user-scram-credentials.ts'

type Request = Decoded<typeof alterUserScramCredentialsApi.request>
interface Outcome {
  readonly error: number
  readonly message: string | null
}

/** The client has salted the password already: it does not come here. A user that is wrong keeps all of its changes back. */
export const alterUserScramCredentials = handler({
  api: alterUserScramCredentialsApi,
  versions: [0, 0],
  access: { needs: ['alter cluster'] },
  async handle(request, exchange) {
    const { access, security } = exchange
    const wishes = byUser(request)
    const names = [...wishes.keys()]
    const answer = (outcomeOf: (name: string) => Outcome) => ({
      results: names.map((user) => {
        const { error, message } = outcomeOf(user)
        return { user, errorCode: error, errorMessage: message }
      }),
    })
    if (!access.onCluster('alter'))
      return answer(() => ({ error: code.clusterAuthorizationFailed, message: 'Cluster authorization failed.' }))
    const outcomes = new Map<string, Outcome>()
    for (const name of names) {
      if (exchange.turns.isOver) await exchange.turns.next()
      const fault = await attempt(exchange, async () => {
        const change = changeOf(name, wishes.get(name)!, security.users)
        if ('error' in change) return change
        const mechanisms = Object.entries(change.scram ?? {})
        access.says(mechanisms.map(([mechanism, is]) => `user:${name} ${is === null ? 'no' : 'another'} ${mechanism}`))
        await security.users.change([change])
        return null
      })
      const outcome = fault instanceof Fault ? { error: errorCode(fault), message: errorMessage(fault) } : fault
      outcomes.set(name, outcome ?? { error: code.none, message: null })
    }
    return answer((name) => outcomes.get(name)!)
  },
})

interface Wishes {
  readonly deletions: Request['deletions'][number][]
  readonly upsertions: Request['upsertions'][number][]
}
/** In the order in which the request names the users. */
function byUser({ deletions, upsertions }: Request): Map<string, Wishes> {
  const found = new Map<string, Wishes>()
  const of = (name: string): Wishes => {
    const known = found.get(name)
    if (known !== undefined) return known
    const wishes = { deletions: [], upsertions: [] }
    found.set(name, wishes)
    return wishes
  }
  for (const one of deletions) of(one.name).deletions.push(one)
  for (const one of upsertions) of(one.name).upsertions.push(one)
  return found
}
/** Throws Fault security.unacceptable-credential. */
function changeOf(name: string, { deletions, upsertions }: Wishes, users: Users): UserChange | Outcome {
  const changed: Partial<Record<ScramMechanism, ScramCredential | null>> = {}
  for (const { mechanism: number } of deletions) {
    const mechanism = scramMechanisms[number - 1]
    if (mechanism === undefined) return unknownMechanism
    if (mechanism in changed) return twice
    if (users.get(name)?.scram[mechanism] === undefined)
      return { error: code.resourceNotFound, message: 'Attempt to delete a user credential that does not exist' }
    changed[mechanism] = null
  }
  for (const { mechanism: number, iterations, salt, saltedPassword } of upsertions) {
    const mechanism = scramMechanisms[number - 1]
    if (mechanism === undefined) return unknownMechanism
    if (mechanism in changed) return twice
    checkIterations(iterations)
    if (saltedPassword.length !== hashOf[mechanism].bytes)
      throw new Fault('security.unacceptable-credential', { why: 'the salted password has a wrong length' })
    changed[mechanism] = credentialOf(mechanism, saltedPassword, { salt, iterations })
  }
  return { name, scram: changed }
}
const unknownMechanism: Outcome = { error: code.unsupportedSaslMechanism, message: 'Unknown SCRAM mechanism' }
const twice: Outcome = {
  error: code.duplicateResource,
  message: 'A user credential cannot be altered twice in the same request',
}
