import type { AnyMethod } from '../method.ts'
import { publisher } from './publisher.ts'
import { schemas } from './schemas.ts'
import { snapshots } from './snapshots.ts'
import { subscriber } from './subscriber.ts'

/** All but StreamingPull, which is a stream (`streaming.ts`). */
export const methods: readonly AnyMethod[] = [...publisher, ...subscriber, ...snapshots, ...schemas]
