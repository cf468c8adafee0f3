/** Users: who may come in. A password goes in and never comes out. */
import { Fault } from '../../../lib/fault.ts'
import { parseJson } from '../../../schema/json-text.ts'
import type { UserChange, UserDefinition } from '../../../security/users.ts'
import { onCluster } from '../access.ts'
import type { UserInfo } from '../api.ts'
import { jsonAnswer } from '../answers.ts'
import { type Answer, type Exchange, mediaTypes } from '../exchange.ts'
import type { Parts } from '../parts.ts'
import type { Route } from '../route.ts'
import { listOf, schemas } from '../schemas.ts'

const path = '/v1/users/{user}'
const one = { says: 'The user.', as: { [mediaTypes.json]: schemas.User } }
const takes = { [mediaTypes.json]: schemas.UserChange }
const bodyBytesMax = 16 * 1024

export function userRoutes({ security: { users } }: Parts): readonly Route[] {
  const found = (name: string): UserDefinition => {
    const definition = users.get(name)
    if (definition === null) throw new Fault('security.unknown-user', { user: name.slice(0, 300) })
    return definition
  }
  const changed = async (exchange: Exchange, isNew: boolean): Promise<Answer> => {
    const name = exchange.params['user']!
    const { password, super: isSuper } = await readChange(exchange)
    if (isNew && password === null && !isSuper)
      throw new Fault('http.invalid-body', { field: 'password', why: 'is missing' })
    const change: UserChange = {
      name,
      ...(isSuper === null ? {} : { super: isSuper }),
      ...(password === null ? {} : { scram: await users.credentials(password) }),
    }
    const says = [...(isSuper === null ? [] : [`super=${isSuper}`]), ...(password === null ? [] : ['another password'])]
    exchange.says(says.map((text) => `user:${name} ${text}`))
    await users.change([change])
    return jsonAnswer(info(found(name)), { status: isNew ? 201 : 200 })
  }
  return [
    {
      method: 'GET',
      path: '/v1/users',
      id: 'listUsers',
      says: 'All users, by name.',
      access: onCluster('describe'),
      gives: { 200: { says: 'The users.', as: { [mediaTypes.json]: listOf(schemas.User) } } },
      handle: () => jsonAnswer(users.all().map(info)),
    },
    {
      method: 'GET',
      path,
      id: 'getUser',
      says: 'One user.',
      access: onCluster('describe'),
      gives: { 200: one },
      handle: ({ params }) => jsonAnswer(info(found(params['user']!))),
    },
    {
      method: 'PUT',
      path,
      id: 'createUser',
      says: 'Creates a user. The first one must be a super user.',
      access: onCluster('alter'),
      takes,
      gives: { 201: { ...one, says: 'Created.' } },
      handle: async (exchange) => {
        const name = exchange.params['user']!
        if (users.get(name) !== null) throw new Fault('security.user-exists', { user: name })
        return changed(exchange, true)
      },
    },
    {
      method: 'PATCH',
      path,
      id: 'changeUser',
      says: 'Gives another password, or makes or unmakes a super user.',
      access: onCluster('alter'),
      takes,
      gives: { 200: one },
      handle: async (exchange) => {
        found(exchange.params['user']!)
        return changed(exchange, false)
      },
    },
    {
      method: 'DELETE',
      path,
      id: 'deleteUser',
      says: 'Deletes a user. Connections it has stay until they end.',
      access: onCluster('alter'),
      gives: { 204: { says: 'Deleted.' } },
      handle: async ({ params }) => {
        await users.remove(params['user']!)
        return { status: 204, body: null }
      },
    },
  ]
}

const info = ({ name, super: isSuper, scram }: UserDefinition): UserInfo => ({
  name,
  super: isSuper,
  mechanisms: Object.keys(scram),
})

async function readChange({ body, headers }: Exchange): Promise<{ password: string | null; super: boolean | null }> {
  const type = headers['content-type']
  if (type !== undefined && !/^application\/json\s*(;|$)/i.test(type))
    throw new Fault('http.unsupported-body', { what: type.slice(0, 100), takes: mediaTypes.json })
  const value = parseJson(await body.whole(bodyBytesMax))
  const wrong = (field: string, why: string): Fault => new Fault('http.invalid-body', { field, why })
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('', 'is not an object')
  const { password = null, super: isSuper = null, ...more } = value as Record<string, unknown>
  const [unknown] = Object.keys(more)
  if (unknown !== undefined) throw wrong(unknown, 'is not a field of a user; it has password and super')
  if (password !== null && typeof password !== 'string') throw wrong('password', 'is not a text')
  if (isSuper !== null && typeof isSuper !== 'boolean') throw wrong('super', 'is neither true nor false')
  return { password, super: isSuper }
}
