import type { Encoded } from '../../../wire/kafka/codec/shape.ts'
import { shareAcknowledgeApi } from '../../../wire/kafka/messages/79-share-acknowledge.ts'
import { code, handler } from '../handler.ts'
import {
  acknowledge,
  askerOf,
  byTopic,
  endSession,
  finalEpoch,
  openingEpoch,
  sameLeader,
  sessionOf,
} from '../share-acknowledge.ts'

type Response = Encoded<typeof shareAcknowledgeApi.response>

export const shareAcknowledge = handler({
  api: shareAcknowledgeApi,
  versions: [1, 2],
  access: { needs: ['read group', 'read topic'] },
  async handle(request, exchange): Promise<Response> {
    const asker = askerOf(request, exchange)
    if (typeof asker === 'number') return failed(asker)
    if (request.shareSessionEpoch === openingEpoch) return failed(code.invalidShareSessionEpoch)
    const session = sessionOf(asker, request.shareSessionEpoch, exchange)
    if (typeof session === 'number') return failed(session)
    const acked = await acknowledge(asker, request.topics, request.isRenewAck, exchange)
    if (request.shareSessionEpoch === finalEpoch) await endSession(session, exchange)
    return {
      errorCode: code.none,
      acquisitionLockTimeoutMs: exchange.broker.queues.settings(asker.group).lockMs,
      responses: byTopic(acked.values(), ({ of, error }) => ({
        partitionIndex: of.index,
        ...error,
        currentLeader: sameLeader,
      })),
      nodeEndpoints: [],
    }
  },
  firstError({ errorCode, responses }) {
    if (errorCode !== code.none) return errorCode
    for (const { partitions } of responses)
      for (const one of partitions) if (one.errorCode !== code.none) return one.errorCode
    return code.none
  },
})
const failed = (errorCode: number): Response => ({ errorCode, responses: [], nodeEndpoints: [] })
