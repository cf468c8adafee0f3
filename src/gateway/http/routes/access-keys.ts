/** Access keys: secrets of users that protocols sign with. A secret is in the answer that makes it, and in no other. */
import { Fault } from '../../../lib/fault.ts'
import { parseJson } from '../../../schema/json-text.ts'
import type { AccessKey, NewAccessKey } from '../../../security/access-keys.ts'
import { onCluster } from '../access.ts'
import type { AccessKeyInfo } from '../api.ts'
import { jsonAnswer } from '../answers.ts'
import { type Exchange, mediaTypes } from '../exchange.ts'
import type { Parts } from '../parts.ts'
import type { Route } from '../route.ts'
import { listOf, schemas } from '../schemas.ts'

const all = '/v1/access-keys'
const path = `${all}/{key}`
const bodyBytesMax = 16 * 1024

export function accessKeyRoutes({ security: { accessKeys } }: Parts): readonly Route[] {
  return [
    {
      method: 'GET',
      path: all,
      id: 'listAccessKeys',
      says: 'All access keys, by id, without their secrets.',
      access: onCluster('describe'),
      gives: { 200: { says: 'The keys.', as: { [mediaTypes.json]: listOf(schemas.AccessKey) } } },
      handle: () => jsonAnswer(accessKeys.all().map(info)),
    },
    {
      method: 'POST',
      path: all,
      id: 'createAccessKey',
      says: 'Makes an access key of a user. Id and secret are made up unless given; the secret is in this answer only.',
      access: onCluster('alter'),
      takes: { [mediaTypes.json]: schemas.NewAccessKey },
      gives: { 201: { says: 'Created.', as: { [mediaTypes.json]: schemas.AccessKeySecret } } },
      handle: async (exchange) => {
        const made = await accessKeys.create(await readNew(exchange))
        exchange.says([`access-key:${made.id} of user:${made.user}`])
        return jsonAnswer({ ...info(made), secret: made.secret }, { status: 201 })
      },
    },
    {
      method: 'GET',
      path,
      id: 'getAccessKey',
      says: 'One access key, without its secret.',
      access: onCluster('describe'),
      gives: { 200: { says: 'The key.', as: { [mediaTypes.json]: schemas.AccessKey } } },
      handle: ({ params }) => {
        const id = params['key']!
        const found = accessKeys.get(id)
        if (found === null) throw new Fault('security.unknown-access-key', { id: id.slice(0, 300) })
        return jsonAnswer(info(found))
      },
    },
    {
      method: 'DELETE',
      path,
      id: 'deleteAccessKey',
      says: 'Deletes an access key. What it signs is refused from now on.',
      access: onCluster('alter'),
      gives: { 204: { says: 'Deleted.' } },
      handle: async (exchange) => {
        exchange.says([`access-key:${exchange.params['key']!.slice(0, 300)} deleted`])
        await accessKeys.remove(exchange.params['key']!)
        return { status: 204, body: null }
      },
    },
  ]
}

const info = ({ id, user, createdMs }: AccessKey): AccessKeyInfo => ({
  id,
  user,
  created: new Date(createdMs).toISOString(),
})

async function readNew({ body, headers }: Exchange): Promise<NewAccessKey> {
  const type = headers['content-type']
  if (type !== undefined && !/^application\/json\s*(;|$)/i.test(type))
    throw new Fault('http.unsupported-body', { what: type.slice(0, 100), takes: mediaTypes.json })
  const value = parseJson(await body.whole(bodyBytesMax))
  const wrong = (field: string, why: string): Fault => new Fault('http.invalid-body', { field, why })
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('', 'is not an object')
  const { user, id, secret, ...more } = value as Record<string, unknown>
  const [unknown] = Object.keys(more)
  if (unknown !== undefined) throw wrong(unknown, 'is not a field of an access key; it has user, id and secret')
  if (typeof user !== 'string') throw wrong('user', user === undefined ? 'is missing' : 'is not a text')
  if (id !== undefined && typeof id !== 'string') throw wrong('id', 'is not a text')
  if (secret !== undefined && typeof secret !== 'string') throw wrong('secret', 'is not a text')
  return { user, ...(id === undefined ? {} : { id }), ...(secret === undefined ? {} : { secret }) }
}
