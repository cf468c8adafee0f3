import { readFileSync } from 'node:fs'

/** The same two steps up from src/node and from dist/node. */
const packageFile = new URL('../../package.json', import.meta.url)
export const version = (JSON.parse(readFileSync(packageFile, 'utf8')) as { version: string }).version
