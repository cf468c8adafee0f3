/** A log over a Kafka cluster as a subject of the conformance cases. */
import { realWorld } from '../../src/lib/real/world.ts'
import { openClusterLog } from '../../src/log/cluster/open.ts'
import type { ClusterSettings } from '../../src/log/cluster/settings.ts'
import type { Subject } from './support.ts'

export async function clusterSubject(settings: Omit<ClusterSettings, 'world'>): Promise<Subject> {
  const world = realWorld()
  const log = await openClusterLog({ ...settings, world })
  return {
    log,
    // Markers are written after a commit is answered.
    settleMs: 400,
    now: () => world.clock.now(),
    sleep: (ms) => world.clock.sleep(ms),
    run: (program) => program(),
    close: () => log.close(),
  }
}
