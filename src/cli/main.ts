#!/usr/bin/env node
/** `millrace …`: finds the command, parses its words by its specification, runs it, ends with its exit code. */
const [major = 0] = process.versions.node.split('.').map(Number)
if (major < 24) {
  process.stderr.write(`Millrace needs Node 24 or later; this is Node ${process.versions.node}.\n`)
  process.exit(1)
}
await import('../lib/real/v8-settings.ts')
const { prepareLoading } = await import('../node/loading.ts')
prepareLoading()
const { main } = await import('./run.ts')
process.exitCode = await main(process.argv.slice(2))

export {}
