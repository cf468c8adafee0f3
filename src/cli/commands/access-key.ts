import { readFileSync } from 'node:fs'
import type { AccessKeyInfo, NewAccessKeyInfo } from '../../gateway/http/api.ts'
import { call, json } from '../client.ts'
import { type Command, type NameList, usageError } from '../command.ts'
import { printOne, printRows } from '../output.ts'

const all = '/v1/access-keys'
const keyIds: NameList = { path: all, field: 'id' }

/** A secret as a word would stand in the list of processes. */
function readSecret(file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8').replace(/\r?\n$/, '')
  } catch (error) {
    throw usageError(`--secret-file ${file}: it cannot be read (${(error as Error).message})`)
  }
}

export const accessKeyCommands: readonly Command[] = [
  {
    path: ['access-key', 'list'],
    summary: 'access keys that there are, without their secrets',
    examples: ['millrace access-key list'],
    async run(on) {
      const keys = await json<AccessKeyInfo[]>(on, { path: all })
      printRows(
        on.output,
        keys.map((key) => ({ ...key })),
        ['id', 'user', 'created'],
      )
    },
  },
  {
    path: ['access-key', 'create'],
    summary: 'make an access key of a user, for protocols that sign with a secret; the secret is shown once',
    args: [{ name: 'user', known: { path: '/v1/users', field: 'name' } }],
    options: [
      { name: 'id', value: 'ID', summary: 'the id of the key; made up unless given' },
      {
        name: 'secret-file',
        value: 'FILE',
        summary: 'the file that holds the secret; - reads standard input; made up unless given',
      },
    ],
    examples: ['millrace access-key create alice', 'millrace access-key create alice --id device-1'],
    async run(on) {
      const [id, file] = [on.options.text('id'), on.options.text('secret-file')]
      const body = {
        user: on.args['user']!,
        ...(id === undefined ? {} : { id }),
        ...(file === undefined ? {} : { secret: readSecret(file) }),
      }
      printOne(on.output, { ...(await json<NewAccessKeyInfo>(on, { method: 'POST', path: all, body })) })
    },
  },
  {
    path: ['access-key', 'delete'],
    summary: 'delete an access key; what it signs is refused from then on',
    args: [{ name: 'key', known: keyIds }],
    examples: ['millrace access-key delete AKEXAMPLE'],
    async run(on) {
      await call(on, { method: 'DELETE', path: `${all}/${encodeURIComponent(on.args['key']!)}` })
      printOne(on.output, { deleted: on.args['key'] })
    },
  },
]
