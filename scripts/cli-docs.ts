/** Writes docs/cli.md from the commands' specification. */
import { writeFileSync } from 'node:fs'
import { commands } from '../src/cli/commands.ts'
import { reference } from '../src/cli/help.ts'

writeFileSync('docs/cli.md', reference(commands))
