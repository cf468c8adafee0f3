/** Settings of client metrics (KIP-714), with the names and bounds that Kafka has. */
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { listOf, matchOf } from '../client-subscription.ts'
import { type ResourceKind, whole } from './resource-configs.ts'

const nameLengthMax = 249

export const clientMetricsKind: ResourceKind = {
  prefix: 'client-metrics/',
  noun: 'client metrics',
  resourcesMax: limits.clientSubscriptions,
  settings: {
    'interval.ms': whole({
      default: 300_000,
      min: 100,
      max: 3_600_000,
      documentation: 'How often clients send what they measure.',
    }),
    match: {
      default: '',
      type: 'list',
      documentation:
        'Which clients are asked: NAME=PATTERN for each of client_instance_id, client_id, client_software_name, client_software_version, client_source_address and client_source_port that must match. Empty: all clients.',
      wrong(value) {
        const match = matchOf(value)
        return typeof match === 'string' ? match : null
      },
    },
    metrics: {
      default: '',
      type: 'list',
      documentation: 'Beginnings of the names of metrics that clients are asked for; * for all. Empty: none.',
      wrong: (value) =>
        value.length > limits.clientSubscriptionLength || listOf(value).length > limits.clientSubscriptionMetrics
          ? `more than ${limits.clientSubscriptionMetrics} metrics, or ${limits.clientSubscriptionLength} characters`
          : null,
    },
  },
  checkName(name) {
    const wrong = name === '' ? 'it has no name' : name.length > nameLengthMax ? 'its name is too long' : null
    if (wrong !== null) throw new Fault('log.invalid-config', { name: 'name', value: name.slice(0, 64), why: wrong })
  },
}
