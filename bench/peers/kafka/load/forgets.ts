/**
 * A broker that acknowledges whatever is produced and keeps nothing of it, and that gives whoever reads the same batch of
 * 1 KB values for ever: what a load generator and the machine's network do by themselves. It knows every topic that it is
 * asked for, with as many partitions as it was told.
 *
 *   node forgets.ts --partitions N       prints its port
 */
import { type AddressInfo, type Socket, createServer } from 'node:net'
import { parseArgs } from 'node:util'
import { encodeBatch } from '../../../../src/log/batch.ts'
import { codecOf } from '../../../../src/wire/kafka/codec/compile.ts'
import { type Api, nullUuid } from '../../../../src/wire/kafka/codec/shape.ts'
import { WireReader, WireWriter } from '../../../../src/wire/kafka/codec/wire.ts'
import { isFlexible, readClientId, readHead, writeResponseHead } from '../../../../src/wire/kafka/header.ts'
import { produceApi } from '../../../../src/wire/kafka/messages/00-produce.ts'
import { fetchApi } from '../../../../src/wire/kafka/messages/01-fetch.ts'
import { listOffsetsApi } from '../../../../src/wire/kafka/messages/02-list-offsets.ts'
import { metadataApi } from '../../../../src/wire/kafka/messages/03-metadata.ts'
import { apiVersionsApi } from '../../../../src/wire/kafka/messages/18-api-versions.ts'
import { initProducerIdApi } from '../../../../src/wire/kafka/messages/22-init-producer-id.ts'

const { values } = parseArgs({ options: { partitions: { type: 'string', default: '1' } } })
const partitions = Array.from({ length: Number(values.partitions) }, (_, index) => index)
const apis: readonly Api[] = [produceApi, fetchApi, listOffsetsApi, metadataApi, apiVersionsApi, initProducerIdApi]
/** Without topic ids. */
const versionMax = new Map<Api, number>([
  [produceApi, 12],
  [fetchApi, 12],
  [metadataApi, 9],
])
const endless = 1e12
const batchRecords = 900
const batch = encodeBatch(
  Array.from({ length: batchRecords }, () => ({ key: null, value: Buffer.alloc(1024, 'x'), timeMs: Date.now() })),
)
/** Batches from this offset on, about so many bytes: the offset of a batch stands before what its checksum covers. */
function batchesFrom(offset: number, bytesMax: number): Uint8Array[] {
  const out: Uint8Array[] = []
  for (let base = offset, bytes = 0; out.length === 0 || bytes < bytesMax; base += batchRecords) {
    const head = Buffer.alloc(8)
    head.writeBigInt64BE(BigInt(base))
    out.push(head, batch.subarray(8))
    bytes += batch.length
  }
  return out
}

interface Asked {
  readonly acks: number
  readonly topics:
    | readonly {
        readonly name: string
        readonly topic: string
        readonly partitions: readonly {
          readonly partition: number
          readonly partitionIndex: number
          readonly fetchOffset: number
          readonly partitionMaxBytes: number
        }[]
      }[]
    | null
  readonly topicData: readonly {
    readonly name: string
    readonly partitionData: readonly { readonly index: number }[]
  }[]
}
/** null: it wants no answer. */
function answerTo(of: Api, asked: Asked): unknown {
  if (of === apiVersionsApi)
    return {
      errorCode: 0,
      apiKeys: apis.map((one) => ({
        apiKey: one.key,
        minVersion: one.versions[0],
        maxVersion: versionMax.get(one) ?? one.versions[1],
      })),
      supportedFeatures: [],
      finalizedFeatures: [],
      zkMigrationReady: false,
    }
  if (of === initProducerIdApi) return { errorCode: 0, producerId: 1, producerEpoch: 0 }
  if (of === metadataApi)
    return {
      brokers: [{ nodeId: 1, host: '127.0.0.1', port }],
      clusterId: 'forgets',
      controllerId: 1,
      topics: (asked.topics ?? []).map(({ name }) => ({
        errorCode: 0,
        name,
        topicId: nullUuid,
        isInternal: false,
        partitions: partitions.map((partitionIndex) => ({
          errorCode: 0,
          partitionIndex,
          leaderId: 1,
          replicaNodes: [1],
          isrNodes: [1],
          offlineReplicas: [],
        })),
      })),
      errorCode: 0,
    }
  if (of === fetchApi)
    return {
      errorCode: 0,
      sessionId: 0,
      responses: (asked.topics ?? []).map(({ topic, partitions }) => ({
        topicId: nullUuid,
        topic,
        partitions: partitions.map(({ partition, fetchOffset, partitionMaxBytes }) => ({
          partitionIndex: partition,
          errorCode: 0,
          highWatermark: endless,
          abortedTransactions: null,
          records: batchesFrom(fetchOffset, partitionMaxBytes),
        })),
      })),
      nodeEndpoints: [],
    }
  if (of === listOffsetsApi)
    return {
      topics: (asked.topics ?? []).map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, errorCode: 0, offset: 0 })),
      })),
    }
  if (asked.acks === 0) return null
  return {
    responses: asked.topicData.map(({ name, partitionData }) => ({
      topicId: nullUuid,
      name,
      partitionResponses: partitionData.map(({ index }) => ({ index, errorCode: 0, baseOffset: 0, recordErrors: [] })),
    })),
  }
}

function take(frame: Buffer, socket: Socket): void {
  const input = new WireReader(frame)
  const { key, version, correlationId } = readHead(input)
  const of = apis.find((one) => one.key === key)
  if (of === undefined) return void socket.destroy()
  const flexible = isFlexible(of, version)
  readClientId(input, flexible)
  const answer = answerTo(of, codecOf(of.request, version, flexible).decode(input) as Asked)
  if (answer === null) return
  const out = new WireWriter()
  writeResponseHead(out, of, version, correlationId)
  codecOf(of.response, version, flexible).encode(answer as never, out)
  const pieces = out.take()
  const head = Buffer.alloc(4)
  head.writeInt32BE(pieces.reduce((sum, { length }) => sum + length, 0))
  socket.cork()
  for (const piece of [head, ...pieces]) socket.write(piece)
  socket.uncork()
}

const server = createServer({ noDelay: true }, (socket) => {
  let waiting: Buffer[] = []
  let bytes = 0
  let wanted = 4
  socket.on('error', () => {})
  socket.on('data', (chunk: Buffer) => {
    waiting.push(chunk)
    bytes += chunk.length
    while (bytes >= wanted) {
      const all = waiting.length === 1 ? waiting[0]! : Buffer.concat(waiting)
      const frameBytes = 4 + all.readInt32BE(0)
      wanted = frameBytes
      waiting = [all]
      if (bytes < frameBytes) break
      take(all.subarray(4, frameBytes), socket)
      waiting = bytes === frameBytes ? [] : [all.subarray(frameBytes)]
      bytes -= frameBytes
      wanted = 4
    }
  })
})
let port = 0
server.listen(0, '127.0.0.1', () => {
  ;({ port } = server.address() as AddressInfo)
  console.log(port)
})
