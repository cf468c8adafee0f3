/** What a classic group is asked and answers: the shapes of `Broker.coordinator`. */
import type { GroupCoordinator } from '../../broker.ts'

export type JoinRequest = Parameters<GroupCoordinator['join']>[0]
export type JoinAnswer = Awaited<ReturnType<GroupCoordinator['join']>>
export type SyncRequest = Parameters<GroupCoordinator['sync']>[0]
export type SyncAnswer = Awaited<ReturnType<GroupCoordinator['sync']>>
export type CommitRequest = Parameters<GroupCoordinator['commit']>[0]
