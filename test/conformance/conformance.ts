/**
 * What every `Log` must do, whoever wrote it. The cases know the interface alone: offsets have gaps, reads stop early,
 * what is committed becomes visible a little later, a tick may have to be repeated, a claim may be lost at any time.
 */
import { after, before, describe, test } from 'node:test'
import { groupCases } from './groups.ts'
import { recordCases } from './records.ts'
import type { Cases, Subject } from './support.ts'
import { tickCases } from './ticks.ts'
import { topicCases } from './topics.ts'

const all: Readonly<Record<string, Cases>> = {
  topics: topicCases,
  records: recordCases,
  ticks: tickCases,
  groups: groupCases,
}

/** Runs every case against the log that `open` gives. */
export function conformance(name: string, open: () => Promise<Subject>): void {
  describe(name, () => {
    let subject: Subject
    before(async () => {
      subject = await open()
    })
    after(() => subject.close())
    for (const [area, cases] of Object.entries(all))
      describe(area, () => {
        for (const [title, run] of Object.entries(cases))
          test(title, async (context) => {
            const skip = subject.skips?.[title]
            if (skip !== undefined) return context.skip(skip)
            await subject.run(() => run(subject))
            await subject.between?.()
          })
      })
  })
}
