import { Fault } from '../../../lib/fault.ts'
import { grantText } from '../../../security/audit-text.ts'
import { type Grant, checkGrant } from '../../../security/grants.ts'
import { grantOf } from '../grant-numbers.ts'
import { attempt, code, errorCode, errorMessage, handler } from '../handler.ts'
import { createAclsApi } from '../../../wire/kafka/messages/30-create-acls.ts'

export const createAcls = handler({
  api: createAclsApi,
  versions: [1, 3],
  access: { needs: ['alter cluster'] },
  async handle({ creations }, exchange) {
    const { access, security } = exchange
    if (!access.onCluster('alter')) {
      const refused = { errorCode: code.clusterAuthorizationFailed, errorMessage: 'Cluster authorization failed.' }
      return { results: creations.map(() => refused) }
    }
    const wanted = await exchange.turns.map(creations, (asked) =>
      attempt(exchange, (): Grant => {
        const grant = grantOf({ ...asked, patternType: asked.resourcePatternType })
        if (typeof grant === 'string') throw new Fault('security.invalid-grant', { why: grant })
        checkGrant(grant)
        return grant
      }),
    )
    const fine = wanted.filter((one): one is Grant => !(one instanceof Fault))
    access.says(fine.map(grantText))
    const added = await attempt(exchange, () => security.grants.add(fine))
    const results = wanted.map((one) => {
      const fault = one instanceof Fault ? one : added instanceof Fault ? added : null
      return { errorCode: errorCode(fault), errorMessage: errorMessage(fault) }
    })
    return { results }
  },
})
