/**
 * The second `Log`, over a real Apache Kafka: the same cases as every other, on one broker, on three, and over TLS with
 * SCRAM. `--quick` leaves it at the first.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { ClusterSettings } from '../../src/log/cluster/settings.ts'
import { parseAddress } from '../../src/node/addresses.ts'
import { clusterSubject } from '../conformance/cluster.ts'
import { conformance } from '../conformance/conformance.ts'
import type { Subject } from '../conformance/support.ts'
import { startKafka, startKafkaCluster, startSecureKafka } from './setup/index.ts'

interface Started {
  readonly settings: Omit<ClusterSettings, 'world'>
  stop(): Promise<void>
}
const at = (addresses: readonly string[]) => addresses.map((address) => parseAddress('kafka', address))
const quickly = ['group.initial.rebalance.delay.ms=0']

const kinds: Readonly<Record<string, (data: string) => Promise<Started>>> = {
  'one Kafka broker': async (data) => {
    const kafka = await startKafka(data, quickly)
    return { settings: { brokers: at([kafka.address]) }, stop: kafka.stop }
  },
  'three Kafka brokers': async (data) => {
    const kafka = await startKafkaCluster(data, quickly)
    return { settings: { brokers: at(kafka.addresses) }, stop: kafka.stop }
  },
  'a Kafka broker with TLS and SCRAM': async (data) => {
    const { address, ca, password, stop } = await startSecureKafka(data, quickly)
    const sasl = { mechanism: 'SCRAM-SHA-512', username: 'admin', password } as const
    return { settings: { brokers: at([address]), tls: { ca }, sasl }, stop }
  },
}

async function subjectOf(start: (data: string) => Promise<Started>): Promise<Subject> {
  const data = mkdtempSync(join(tmpdir(), 'millrace-kafka-'))
  const { settings, stop } = await start(data)
  const subject = await clusterSubject(settings)
  return {
    ...subject,
    async close() {
      await subject.close()
      await stop()
      rmSync(data, { recursive: true })
    },
  }
}

for (const [kind, start] of Object.entries(kinds)) {
  const isLong = kind !== 'one Kafka broker'
  if (isLong && process.env['MILLRACE_QUICK'] === '1')
    test(`cluster log over ${kind}`, { skip: 'not in the quick form' }, () => {})
  else conformance(`cluster log over ${kind}`, () => subjectOf(start))
}
