import { scramMechanisms } from '../../../security/scram.ts'
import type { UserDefinition } from '../../../security/users.ts'
import { code, handler, repeated, shortened } from '../handler.ts'
import { describeUserScramCredentialsApi } from '../../../wire/kafka/messages/50-describe-user-scram-credentials.ts'

export const describeUserScramCredentials = handler({
  api: describeUserScramCredentialsApi,
  versions: [0, 0],
  access: { needs: ['describe cluster'] },
  handle({ users: asked }, { access, security: { users } }) {
    if (!access.onCluster('describe')) {
      const errorMessage = 'Cluster authorization failed.'
      return { errorCode: code.clusterAuthorizationFailed, errorMessage, results: [] }
    }
    const isAll = asked === null || asked.length === 0
    const having = users.all().filter(({ scram }) => Object.keys(scram).length > 0)
    const names = isAll ? having.map(({ name }) => name) : asked.map(({ name }) => name)
    const twice = repeated(names)
    const results = [...new Set(names)].map((user) => {
      const refused = (errorCode: number, errorMessage: string) => ({
        user,
        errorCode,
        errorMessage: shortened(errorMessage),
        credentialInfos: [],
      })
      if (twice.has(user))
        return refused(code.duplicateResource, `Cannot describe SCRAM credentials for the same user twice: ${user}`)
      const credentialInfos = infosOf(users.get(user))
      if (credentialInfos.length === 0)
        return refused(code.resourceNotFound, `Attempt to describe a user credential that does not exist: ${user}`)
      return { user, errorCode: code.none, errorMessage: null, credentialInfos }
    })
    return { errorCode: code.none, errorMessage: null, results }
  },
})

/** Mechanisms by Kafka's numbers, from 1. */
function infosOf(user: UserDefinition | null): { mechanism: number; iterations: number }[] {
  return scramMechanisms.flatMap((mechanism, i) => {
    const credential = user?.scram[mechanism]
    return credential === undefined ? [] : [{ mechanism: i + 1, iterations: credential.iterations }]
  })
}
