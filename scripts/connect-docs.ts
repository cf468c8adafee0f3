/** Writes the tables of docs/connect.md, from the fields of the connectors. */
import { readFileSync, writeFileSync } from 'node:fs'
import { withTables } from './connect-tables.ts'

const path = 'docs/connect.md'
writeFileSync(path, withTables(readFileSync(path, 'utf8')))
