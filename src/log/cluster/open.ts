/** Opens a log over a Kafka cluster. Throws Fault cluster.unavailable when no broker answers, or what keeps us out. */
import { silent } from '../../lib/logger.ts'
import { ClusterLog } from './cluster-log.ts'
import { Settling } from './commit/settling.ts'
import { ClusterGroups } from './group/groups.ts'
import { Members } from './group/members.ts'
import { Peers } from './group/peers.ts'
import { Coordinators } from './net/coordinators.ts'
import { Metadata } from './net/metadata.ts'
import { Network } from './net/network.ts'
import { requireCluster } from './net/requirements.ts'
import type { ClusterSettings } from './settings.ts'
import { ClusterTopics } from './topics.ts'
import { TopicWatch } from './topic-watch.ts'

const openMs = 15_000

export async function openClusterLog(settings: ClusterSettings): Promise<ClusterLog> {
  const { world, meter = null, logger = silent, peer = null } = settings
  const network = new Network(settings)
  const metadata = new Metadata(network)
  const coordinators = new Coordinators(network)
  const process = world.random.uuid()
  const host = { network, metadata, coordinators }
  const { net, clock } = world
  const peers = new Peers({
    net,
    clock,
    process,
    logger,
    closing: network.closing,
    died: (who) => members.died(who),
  })
  const settling = new Settling({ ...host, process, known: (who) => peers.known(who) })
  const watch = new TopicWatch(network, metadata)
  const topics = new ClusterTopics({ network, metadata, watch })
  const groups = new ClusterGroups(host)
  let members: Members
  try {
    await metadata.fetch([], openMs)
    await requireCluster(network)
    const at = peer === null ? null : await peers.listen(peer.listen, peer.advertise)
    members = new Members({
      ...host,
      groups,
      peers,
      me: { process, peer: at },
      logger,
      positions: (claim, of) => settling.positions(claim, of),
    })
  } catch (error) {
    network.close()
    await peers.close()
    throw error
  }
  return new ClusterLog({ ...host, topics, watch, groups, members, peers, settling, meter, process })
}
