import { readFileSync } from 'node:fs'
import type { UserInfo } from '../../gateway/http/api.ts'
import { call, json } from '../client.ts'
import { type Command, type NameList, type Option, usageError } from '../command.ts'
import { printOne, printRows } from '../output.ts'

const path = (user: string): string => `/v1/users/${encodeURIComponent(user)}`
const userNames: NameList = { path: '/v1/users', field: 'name' }
const passwordFile: Option = {
  name: 'password-file',
  value: 'FILE',
  summary: 'the file that holds the password; - reads standard input',
}

/** What the file holds, without the end of its line. A password as a word would stand in the list of processes. */
function readPassword(file: string): string {
  let text: string
  try {
    text = readFileSync(file === '-' ? 0 : file, 'utf8')
  } catch (error) {
    throw usageError(`--password-file ${file}: it cannot be read (${(error as Error).message})`)
  }
  return text.replace(/\r?\n$/, '')
}

export const userCommands: readonly Command[] = [
  {
    path: ['user', 'list'],
    summary: 'users that may come in',
    examples: ['millrace user list'],
    async run(on) {
      const users = await json<UserInfo[]>(on, { path: '/v1/users' })
      printRows(
        on.output,
        users.map((user) => ({ ...user })),
        ['name', 'super', 'mechanisms'],
      )
    },
  },
  {
    path: ['user', 'show'],
    summary: 'one user',
    args: [{ name: 'user', known: userNames }],
    examples: ['millrace user show alice'],
    async run(on) {
      printOne(on.output, { ...(await json<UserInfo>(on, { path: path(on.args['user']!) })) })
    },
  },
  {
    path: ['user', 'create'],
    summary: 'create a user; the first one must be a super user',
    args: [{ name: 'user' }],
    options: [passwordFile, { name: 'super', summary: 'nothing is refused to it' }],
    examples: ['millrace user create root --super --password-file root.txt'],
    async run(on) {
      const file = on.options.text('password-file')
      if (file === undefined) throw usageError('--password-file is missing')
      const body = { password: readPassword(file), super: on.options.on('super') }
      printOne(on.output, { ...(await json<UserInfo>(on, { method: 'PUT', path: path(on.args['user']!), body })) })
    },
  },
  {
    path: ['user', 'alter'],
    summary: 'another password, or other rights',
    args: [{ name: 'user', known: userNames }],
    options: [
      passwordFile,
      { name: 'super', summary: 'nothing is refused to it from now on' },
      { name: 'no-super', summary: 'by grants from now on' },
    ],
    examples: ['millrace user alter alice --password-file new.txt'],
    async run(on) {
      const file = on.options.text('password-file')
      const [yes, no] = [on.options.on('super'), on.options.on('no-super')]
      if (yes && no) throw usageError('--super and --no-super say the opposite')
      if (file === undefined && !yes && !no)
        throw usageError('nothing to change: --password-file, --super or --no-super')
      const body = {
        ...(file === undefined ? {} : { password: readPassword(file) }),
        ...(yes || no ? { super: yes } : {}),
      }
      printOne(on.output, { ...(await json<UserInfo>(on, { method: 'PATCH', path: path(on.args['user']!), body })) })
    },
  },
  {
    path: ['user', 'delete'],
    summary: 'delete a user',
    args: [{ name: 'user', known: userNames }],
    examples: ['millrace user delete alice'],
    async run(on) {
      await call(on, { method: 'DELETE', path: path(on.args['user']!) })
      printOne(on.output, { deleted: on.args['user'] })
    },
  },
]
