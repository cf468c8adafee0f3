#!/usr/bin/env node
/** `millrace …`: finds the command, parses its words by its specification, runs it, ends with its exit code. */
const [major = 0] = process.versions.node.split('.').map(Number)
if (major < 24) {
  process.stderr.write(`Millrace needs Node 24 or later; this is Node ${process.versions.node}.\n`)
  process.exit(1)
}
// By itself V8 begins to mark the old heap as soon as less of its limit is left than the young one may grow to; with 30 MB
// of live objects that is at once after each collection, again and again, and each takes tens of milliseconds from whoever
// waits for an answer. Told in percent of what is left, it waits. Before anything is compiled: kept code is of one setting.
const { setFlagsFromString } = await import('node:v8')
setFlagsFromString('--incremental-marking-soft-trigger=80')
setFlagsFromString('--incremental-marking-hard-trigger=95')
// Columns, state and what was read lie outside the heap. By itself V8 collects everything for each 64 MB of them, be there
// gigabytes of state; told so, it goes by a part of all that lives.
setFlagsFromString('--external-memory-accounted-in-global-limit')
// Where much is allocated V8 lets that part be a tenth, and collects at every tenth that state grows by; let it be as much again.
setFlagsFromString('--heap-growing-percent=100')
const { prepareLoading } = await import('../node/loading.ts')
prepareLoading()
const { main } = await import('./run.ts')
process.exitCode = await main(process.argv.slice(2))

export {}
