import assert from 'node:assert/strict'
import { type Cases, append, at, fresh, newTopic, refused, takeAll, until, values } from './support.ts'

export const topicCases: Cases = {
  'a topic is listed as it was created': async ({ log }) => {
    const name = fresh('topic')
    assert.deepEqual(await log.topics.create([{ name, partitions: 3, config: { 'retention.ms': '1000' } }]), [null])
    const info = await log.topics.get(name)
    assert.ok(info !== null)
    assert.equal(info.partitions, 3)
    assert.equal(info.config['retention.ms'], '1000')
    assert.match(info.id, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
    const listed = await log.topics.list()
    assert.deepEqual(
      listed.filter((topic) => topic.name === name),
      [info],
    )
    assert.equal(await log.topics.get(fresh('nothing')), null)
  },
  'each topic of a request is answered for itself': async (subject) => {
    const { log } = subject
    const taken = await newTopic(subject)
    const free = fresh('topic')
    const answers = await log.topics.create([
      { name: taken, partitions: 1 },
      { name: 'a/b', partitions: 1 },
      { name: '..', partitions: 1 },
      { name: fresh('topic'), partitions: 0 },
      { name: fresh('topic'), partitions: 1, config: { 'no.such.setting': '1' } },
      { name: fresh('topic'), partitions: 1, config: { 'retention.ms': 'soon' } },
      { name: free, partitions: 1 },
    ])
    assert.deepEqual(
      answers.map((fault) => fault?.code ?? null),
      [
        'log.topic-exists',
        'log.invalid-topic',
        'log.invalid-topic',
        'log.invalid-partitions',
        'log.invalid-config',
        'log.invalid-config',
        null,
      ],
    )
    assert.notEqual(await log.topics.get(free), null)
  },
  'partitions are added, and settings set and taken back': async (subject) => {
    const { log } = subject
    const name = await newTopic(subject, { config: { 'retention.ms': '1000' } })
    await append(subject, at(name), 'before')
    await log.topics.alter(name, { partitions: 2, config: { 'retention.ms': null, 'cleanup.policy': 'compact' } })
    await until(subject, 'two partitions', async () => (await log.topics.get(name))?.partitions === 2)
    const info = await log.topics.get(name)
    assert.equal(info?.config['cleanup.policy'], 'compact')
    assert.equal(info?.config['retention.ms'], undefined)
    await refused('log.invalid-partitions', log.topics.alter(name, { partitions: 1 }))
    await refused('log.invalid-config', log.topics.alter(name, { config: { 'cleanup.policy': 'burn' } }))
    await refused('log.unknown-topic', log.topics.alter(fresh('nothing'), { partitions: 2 }))
  },
  'a removed topic is gone, and one of the same name is another': async (subject) => {
    const { log } = subject
    const name = await newTopic(subject)
    const before = await log.topics.get(name)
    await append(subject, at(name), 'old')
    const answers = await log.topics.remove([name, fresh('nothing')])
    assert.deepEqual(
      answers.map((fault) => fault?.code ?? null),
      [null, 'log.unknown-topic'],
    )
    await until(subject, 'the topic to be gone', async () => (await log.topics.get(name)) === null)
    const [appended] = await log.writer().append([{ partition: at(name), batch: new Uint8Array(0) }])
    assert.ok(appended !== undefined && 'fault' in appended)
    assert.deepEqual(await log.topics.create([{ name, partitions: 1 }]), [null])
    const after = await log.topics.get(name)
    assert.notEqual(after?.id, before?.id)
    assert.deepEqual(await takeAll(subject, at(name)), [])
  },
  'a watcher hears of what is created, altered and removed': async (subject) => {
    const { log } = subject
    const stop = new AbortController()
    const heard: string[] = []
    const watching = (async (): Promise<void> => {
      for await (const { changed } of log.topics.watch(stop.signal)) heard.push(...changed)
    })()
    const times = (name: string): number => heard.filter((one) => one === name).length
    const name = await newTopic(subject)
    await until(subject, 'word of the creation', () => times(name) === 1)
    await log.topics.alter(name, { partitions: 2 })
    await until(subject, 'word of the change', () => times(name) === 2)
    await log.topics.remove([name])
    await until(subject, 'word of the removal', () => times(name) === 3)
    stop.abort()
    await watching
  },
  'what is trimmed is forgotten': async (subject) => {
    const { log } = subject
    const name = await newTopic(subject)
    await append(subject, at(name), 'a')
    const offset = await append(subject, at(name), 'b')
    await log.topics.trim([{ partition: at(name), offset }])
    const [bounds] = await log.bounds([at(name)])
    assert.equal(bounds!.start, offset)
    assert.deepEqual(values(await takeAll(subject, at(name))), ['b'])
    const [chunk] = await log.reader().read([{ partition: at(name), offset: 0 as typeof offset }])
    assert.ok(chunk !== undefined && 'fault' in chunk && chunk.fault.code === 'log.offset-out-of-range')
  },
}
