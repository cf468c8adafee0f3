/** The files of a log that no process holds: looked at, printed, mended. */
import type { DamagedRange, Examination, PartitionReport } from '../../store/examine.ts'
import type { AuditCheck } from '../../security/audit-chain.ts'
import { type Call, type Command, CommandError, exit, type Option, usageError } from '../command.ts'
import { printable, printNext, printRows } from '../output.ts'

const auditName = '_millrace_audit/0'
const dataArgument = [{ name: 'dir', optional: true }] as const
const partitionOption: Option = { name: 'partition', value: 'TOPIC/N', summary: 'only this one' }

/** Throws CommandError when there is no data folder; Fault store.locked when a process holds it. */
async function open(on: Call, mode: 'look' | 'mend'): Promise<Examination> {
  const [{ examine }, { realWorld }, { resolve }] = await Promise.all([
    import('../../store/examine.ts'),
    import('../../lib/real/world.ts'),
    import('node:path'),
  ])
  const dir = resolve(on.args['dir'] ?? '.millrace')
  const world = realWorld()
  if (world.disk.stat(`${dir}/meta.json`) === null && world.disk.stat(`${dir}/topics`) === null)
    throw new CommandError(`${dir} is no data folder`, {
      exitCode: exit.notFound,
      code: 'cli.no-data',
      hint: 'Name the folder, as `serve --data` has it.',
    })
  return examine({ world, dir, mode })
}
interface Named {
  readonly dir: string
  readonly name: string
}
async function named(on: Call, folder: Examination): Promise<Named[]> {
  const { partitionOfFolder } = await import('../../log/local/topic-name.ts')
  const all = folder.partitions().map((dir) => {
    const { topic, index } = partitionOfFolder(dir)
    return { dir, name: `${topic}/${index}` }
  })
  const wanted = on.options.text('partition')
  if (wanted === undefined) return all
  const found = all.filter(({ dir, name }) => name === wanted || dir === wanted)
  if (found.length === 0)
    throw new CommandError(`there is no partition ${wanted}`, {
      exitCode: exit.notFound,
      code: 'cli.no-partition',
      hint: `There are ${all.map(({ name }) => name).join(', ') || 'none'}.`,
    })
  return found
}

const lost = ({ from, to }: DamagedRange): string =>
  to - from === 1 ? `offset ${from}` : `offsets ${from} to ${to - 1}`
const sayRange = (name: string, range: DamagedRange): string =>
  `${name}: ${range.file} is damaged at byte ${range.position} (${range.bytes} bytes): ${range.what}; ${lost(range)} lost`
const isDamaged = (report: PartitionReport): boolean => report.damaged.length > 0 || report.badFiles.length > 0

async function verify(on: Call): Promise<void> {
  const folder = await open(on, 'look')
  try {
    const reports = (await named(on, folder)).map(({ dir, name }) => ({ name, ...folder.check(dir) }))
    const isTable = on.output === 'table'
    printRows(
      on.output,
      reports.map((report) => ({
        partition: report.name,
        start: report.start,
        end: report.end,
        segments: report.segments,
        batches: report.batches,
        records: report.records,
        bytes: report.bytes,
        indexes: `${report.indexEntries - report.badIndexEntries} of ${report.indexEntries} right`,
        setAside: isTable ? report.setAside.map(({ file }) => file).join(' ') : report.setAside,
        damage: isTable ? (isDamaged(report) ? 'damaged' : 'none') : report.damaged,
        ...(isTable ? {} : { badFiles: report.badFiles, dir: report.dir }),
      })),
    )
    const { torn } = folder.recovery
    const notes = torn.map(({ file, bytes }) => `${file}: a crash left ${bytes} bytes that the next start sets aside`)
    if (notes.length > 0 && on.output === 'table') process.stderr.write(`${notes.join('\n')}\n`)
    const found = reports.flatMap((report) => [
      ...report.damaged.map((range) => sayRange(report.name, range)),
      ...report.badFiles.map((file) => `${report.name}: ${file} is not what was written`),
    ])
    const files = folder.damagedFiles.map((fault) => fault.message)
    const audits = await Promise.all(
      // Where some of it is damaged, what is left says nothing of the whole.
      reports.map(({ name, dir, damaged }) =>
        name === auditName && damaged.length === 0 ? auditOf(folder, dir) : Promise.resolve(null),
      ),
    )
    for (const audit of audits)
      if (audit !== null && audit.problems.length === 0 && isTable)
        process.stderr.write(`audit: ${audit.records} records, none changed; the newest is ${audit.newest}\n`)
    complain([...files, ...found])
    const changed = audits.flatMap((audit) => audit?.problems ?? [])
    if (changed.length > 0)
      throw new CommandError(`the audit is not what was written\n${changed.map((line) => `  ${line}`).join('\n')}`, {
        code: 'cli.audit-changed',
        hint: 'Somebody with access to the files has changed it. Compare them with a copy.',
      })
  } finally {
    await folder.close()
  }
}
/** Whether the records of the audit are those that were written (`security/audit-chain.ts`). */
async function auditOf(folder: Examination, dir: string): Promise<AuditCheck> {
  const [{ AuditCheck }, { decodeBatch }] = await Promise.all([
    import('../../security/audit-chain.ts'),
    import('../../log/batch.ts'),
  ])
  const check = new AuditCheck()
  for (const found of folder.walk(dir, 0))
    if ('good' in found) for (const { offset, value } of decodeBatch(found.good.batch)) check.add(offset, value)
  return check
}
function complain(found: readonly string[]): void {
  if (found.length === 0) return
  throw new CommandError(`there is damage\n${found.map((line) => `  ${line}`).join('\n')}`, {
    code: 'store.damaged',
    hint: 'Restore the files from a copy, or see `millrace help log repair`.',
  })
}

async function repair(on: Call): Promise<void> {
  const isSure = on.options.on('yes')
  const folder = await open(on, isSure ? 'mend' : 'look')
  try {
    const rows: Record<string, unknown>[] = folder.damagedFiles.map(({ facts: { file } }) => ({
      partition: null,
      lostFrom: null,
      lostTo: null,
      file,
    }))
    for (const { dir, name } of await named(on, folder)) {
      const report = folder.check(dir)
      if (!isDamaged(report)) continue
      const ranges = isSure ? await folder.mend(dir) : report.damaged.map((range) => ({ ...range, keptAs: null }))
      for (const { from, to, file, position, bytes, keptAs } of ranges)
        rows.push({ partition: name, lostFrom: from, lostTo: to - 1, file, position, bytes, keptAs })
      for (const file of report.badFiles) rows.push({ partition: name, lostFrom: null, lostTo: null, file })
    }
    if (rows.length === 0 && on.output === 'table') process.stderr.write('nothing is damaged\n')
    printRows(on.output, rows, ['partition', 'lostFrom', 'lostTo', 'file', 'position', 'bytes', 'keptAs'])
    if (!isSure && rows.length > 0)
      throw usageError(`this gives up ${rows.length} damaged place${rows.length === 1 ? '' : 's'} as listed; say --yes`)
  } finally {
    await folder.close()
  }
}

function offsetRange(text: string | undefined): { from: number; to: number } {
  if (text === undefined) return { from: 0, to: Number.MAX_SAFE_INTEGER }
  const found = /^(\d+)?\.\.(\d+)?$/.exec(text) ?? /^(\d+)$/.exec(text)
  if (found === null) throw usageError(`--offsets ${text}: expected FROM..TO, both with, one may be left out`)
  const from = Number(found[1] ?? 0)
  const to = text.includes('..') ? Number(found[2] ?? Number.MAX_SAFE_INTEGER) : from
  if (to < from) throw usageError(`--offsets ${text}: it ends before it begins`)
  return { from, to }
}
async function dump(on: Call): Promise<void> {
  const range = offsetRange(on.options.text('offsets'))
  if (on.options.text('partition') === undefined) throw usageError('say which one: --partition TOPIC/N')
  const { describeBatch, describeRecords } = await import('../dump.ts')
  const folder = await open(on, 'look')
  try {
    const partitions = await named(on, folder)
    const [one, ...more] = partitions
    if (more.length > 0)
      throw usageError(`there are several: ${partitions.map(({ dir }) => dir).join(', ')}; say one of these`)
    const damage: string[] = []
    for (const found of folder.walk(one!.dir, range.from)) {
      if ('damaged' in found) {
        const { damaged } = found
        if (damaged.to <= range.from || damaged.from > range.to) continue
        damage.push(sayRange(one!.name, damaged))
        printNext(on.output, { damaged }, () => `damaged: ${lost(damaged)} lost, byte ${damaged.position}`)
        continue
      }
      const batch = describeBatch(found.good)
      if (batch.lastOffset < range.from) continue
      if (batch.baseOffset > range.to) break
      printNext(on.output, { ...batch }, () => pairs(batch))
      if (!on.options.on('deep')) continue
      for (const record of describeRecords(found.good.batch))
        if (record.offset >= range.from && record.offset <= range.to)
          printNext(on.output, { ...record }, () => `| ${pairs(record)}`)
    }
    complain(damage)
  } finally {
    await folder.close()
  }
}
const pairs = (of: object): string =>
  Object.entries(of)
    .map(([name, value]) => `${name}: ${printable(typeof value === 'object' ? JSON.stringify(value) : String(value))}`)
    .join(' ')

export const logCommands: readonly Command[] = [
  {
    path: ['log', 'verify'],
    summary:
      'read every batch of a stopped instance and say what is damaged, or changed in the audit; changes nothing, fails on damage',
    args: dataArgument,
    options: [partitionOption],
    examples: ['millrace log verify', 'millrace log verify /var/lib/millrace --partition purchases/0 -o json'],
    run: verify,
  },
  {
    path: ['log', 'repair'],
    summary: 'make damaged partitions of a stopped instance writable again, without the offsets that are lost',
    args: dataArgument,
    options: [
      partitionOption,
      { name: 'yes', short: 'y', summary: 'do it; without this it only says what would be lost' },
    ],
    examples: ['millrace log repair /var/lib/millrace', 'millrace log repair /var/lib/millrace --yes'],
    run: repair,
  },
  {
    path: ['log', 'dump'],
    summary: 'print the batches of one partition of a stopped instance',
    args: dataArgument,
    options: [
      { ...partitionOption, summary: 'which one' },
      { name: 'offsets', value: 'FROM..TO', summary: 'only batches that hold any of these' },
      { name: 'deep', summary: 'the records too' },
    ],
    examples: ['millrace log dump /var/lib/millrace --partition purchases/0 --offsets 100..199 --deep'],
    run: dump,
  },
]
