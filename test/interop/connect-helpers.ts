/** What the tests of connectors share: definitions over HTTP, and waiting. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Millrace } from './setup/index.ts'

export async function create(
  millrace: Millrace,
  name: string,
  connector: { kind: string; direction: 'source' | 'sink'; settings: Readonly<Record<string, string>> },
): Promise<void> {
  const response = await fetch(`http://${millrace.http}/v1/connectors/${name}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(connector),
  })
  assert.equal(response.status, 201, await response.text())
}
export interface Shown {
  readonly status: string
  readonly lag: number | null
  readonly records: number
  readonly fault: { readonly code: string; readonly detail: string; readonly hint: string } | null
}
export async function shown(millrace: Millrace, name: string): Promise<Shown> {
  return (await (await fetch(`http://${millrace.http}/v1/connectors/${name}`)).json()) as Shown
}
export async function until(what: string, is: () => Promise<boolean> | boolean, withinMs = 120_000): Promise<void> {
  const end = performance.now() + withinMs
  while (performance.now() < end) {
    if (await is()) return
    await sleep(200)
  }
  assert.fail(`not within ${withinMs} ms: ${what}`)
}

export interface ReadRecord {
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [string, string])[]
}
type Payload = { readonly base64: string } | null
const textOf = (payload: Payload): string | null =>
  payload === null ? null : Buffer.from(payload.base64, 'base64').toString()
/** All records of a topic, over HTTP; [] while it is not there. */
export async function recordsOf(millrace: Millrace, topic: string): Promise<ReadRecord[]> {
  const all: ReadRecord[] = []
  const url = `http://${millrace.http}/v1/topics/${topic}/records?bytes=true&limit=1000`
  for (let from = 'earliest'; ;) {
    const response = await fetch(`${url}&from=${from}`)
    if (response.status === 404) return all
    assert.equal(response.status, 200)
    const page = (await response.json()) as {
      records: {
        partition: number
        offset: number
        key: Payload
        value: Payload
        headers: { name: string; value: Payload }[]
      }[]
      next: { partition: number; offset: number }[]
      atEnd: boolean
    }
    for (const { partition, offset, key, value, headers } of page.records)
      all.push({
        partition,
        offset,
        key: textOf(key),
        value: textOf(value),
        headers: headers.map((one) => [one.name, textOf(one.value) ?? '']),
      })
    if (page.atEnd && page.records.length === 0) return all
    from = page.next.map((place) => `${place.partition}:${place.offset}`).join(',')
    if (page.atEnd) return all
  }
}
const bytes = (text: string): { base64: string } => ({ base64: Buffer.from(text).toString('base64') })
export async function write(
  millrace: Millrace,
  topic: string,
  records: readonly { key: string | null; value: string; headers?: readonly (readonly [string, string])[] }[],
): Promise<void> {
  const body = records.map(({ key, value, headers = [] }) => ({
    key: key === null ? null : bytes(key),
    value: bytes(value),
    headers: headers.map(([name, content]) => ({ name, value: bytes(content) })),
  }))
  const response = await fetch(`http://${millrace.http}/v1/topics/${topic}/records`, {
    method: 'POST',
    headers: { 'content-type': 'application/vnd.millrace.records+json' },
    body: JSON.stringify({ records: body }),
  })
  assert.ok(response.ok, await response.text())
}
export async function makeTopic(millrace: Millrace, topic: string, partitions: number): Promise<void> {
  const response = await fetch(`http://${millrace.http}/v1/topics/${topic}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ partitions }),
  })
  assert.equal(response.status, 201, await response.text())
}
