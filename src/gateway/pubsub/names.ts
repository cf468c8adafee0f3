/** Names of resources: `projects/P/topics/T`. The project is accepted and dropped: one instance is one tenant. */
import { invalid } from './errors.ts'

export type Kind = 'topics' | 'subscriptions' | 'snapshots' | 'schemas'
export interface ResourceName {
  readonly project: string
  /** The last part. */
  readonly id: string
}
const idForm = /^[A-Za-z][A-Za-z0-9._~+%-]{2,254}$/
const projectForm = /^[A-Za-z0-9][A-Za-z0-9.:_-]{0,254}$/
/** A topic that is gone, as subscriptions name it. */
export const deletedTopic = '_deleted-topic_'
/** A schema that is gone, as topics name it. */
export const deletedSchema = '_deleted-schema_'

const wrongName = (name: string): Error =>
  invalid(
    `Invalid resource name given (name=${name.slice(0, 300)}). Refer to https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names for more information.`,
  )
/** Throws RpcError INVALID_ARGUMENT. */
export function parseName(kind: Kind, name: string): ResourceName {
  const [projects, project = '', kinds, id = '', ...rest] = name.split('/')
  const isForm = projects === 'projects' && kinds === kind && rest.length === 0
  if (!isForm || !projectForm.test(project) || id === '' || id.length > 255) throw wrongName(name)
  return { project, id }
}
/** Of a resource that is to be made. */
export function parseNewName(kind: Kind, name: string): ResourceName {
  const parsed = parseName(kind, name)
  if (!idForm.test(parsed.id) || parsed.id.toLowerCase().startsWith('goog')) throw wrongName(name)
  return parsed
}
/** Where a request for a new one names none: a name of the server's own, in the project of what it is of. */
export function newName(kind: Kind, given: string, of: ResourceName, uuid: () => string): string {
  return given === '' ? nameOf(kind, of.project, `${kind}-${uuid()}`) : given
}
/** `projects/P`. */
export function parseProject(name: string): string {
  const [projects, project = '', ...rest] = name.split('/')
  if (projects !== 'projects' || rest.length > 0 || !projectForm.test(project)) throw wrongName(name)
  return project
}
export const nameOf = (kind: Kind, project: string, id: string): string => `projects/${project}/${kind}/${id}`
