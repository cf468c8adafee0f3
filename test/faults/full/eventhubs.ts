/** Event Hubs: batches, receivers, owner levels, checkpoints in blobs. */
import { setTimeout as sleep } from 'node:timers/promises'
import { batchFormat } from '../../../src/wire/amqp/sections.ts'
import { RawClient, type RawReceiver, type RawSender, batchOf, message } from '../../gateway/eventhubs/raw-client.ts'
import { type Answer, type Side, Told, Writer, checkTopic, valueOf } from './side.ts'

const hub = 'full-hub'
const valueBytes = 4_096
const partitionOf = (name: string): string => `${hub}/ConsumerGroups/${name}/Partitions/0`

interface Link {
  readonly client: RawClient
  readonly sender: RawSender
}

export class EventHubsSide implements Side {
  readonly name = 'eventhubs'
  /** Sent again by the official clients: this condition, and this status of a blob. */
  readonly told = new Told(['com.microsoft:server-busy', '503 ServerBusy'])
  readonly #port: number
  readonly #http: () => string
  readonly #writers: readonly Writer[]
  readonly #links = new Map<string, Link>()
  #reading: { readonly client: RawClient; readonly receiver: RawReceiver } | null = null
  #checkpoints: Promise<void> | null = null
  #checkpoint = -1
  #underWay = -1
  #isOver = false
  #epoch = 1

  constructor(port: number, http: () => string) {
    this.#port = port
    this.#http = http
    this.#writers = ['e0', 'e1'].map(
      (name, index) => new Writer(name, this.told, (ids) => this.#send(name, index, ids), { atOnce: 10 }),
    )
  }
  async start(): Promise<void> {
    await fetch(`http://${this.#http()}/v1/topics/${hub}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ partitions: 2 }),
    })
    await this.#blob('PUT', 'container', {})
    for (const one of this.#writers) one.start()
    this.#checkpoints = this.#keepCheckpoints()
  }
  async #send(name: string, index: number, ids: readonly string[]): Promise<readonly Answer[]> {
    let link = this.#links.get(name)
    if (link === undefined || link.client.isClosed) {
      const client = await RawClient.open({ port: this.#port })
      link = { client, sender: await client.sender(`${hub}/Partitions/${index}`) }
      this.#links.set(name, link)
    }
    const events = ids.map((id) => message({ body: valueOf(id, valueBytes) }))
    const why = await link.sender.send(batchOf(events), batchFormat)
    return ids.map(() => why)
  }
  /** Gives the answer, and what the metadata of the blob says. */
  async #blob(
    method: string,
    what: 'container' | 'blob',
    headers: Record<string, string>,
  ): Promise<[Answer, string | null]> {
    const path = what === 'container' ? 'any/checks?restype=container' : 'any/checks/n/hub/$default/checkpoint/0'
    const url = `http://127.0.0.1:${this.#port}/${path}`
    const answer = await fetch(url, { method, headers: { 'x-ms-version': '2025-01-05', ...headers } })
    const code = /<Code>(.*?)<\/Code>/.exec(await answer.text())?.[1] ?? answer.headers.get('x-ms-error-code')
    return [answer.ok ? null : `${answer.status} ${code}`, answer.headers.get('x-ms-meta-sequencenumber')]
  }
  #put(): Promise<Answer> {
    this.#underWay++
    const headers = { 'x-ms-blob-type': 'BlockBlob', 'x-ms-meta-sequencenumber': String(this.#underWay) }
    return this.#blob('PUT', 'blob', headers).then(([why]) => {
      if (why === null) this.#checkpoint = this.#underWay
      return why
    })
  }
  async #keepCheckpoints(): Promise<void> {
    while (!this.#isOver) {
      const isUndisturbed = this.told.watch()
      try {
        const why = await this.#put()
        if (why !== null) this.told.refuse(why)
      } catch (error) {
        if (isUndisturbed()) this.told.problem(`a checkpoint: ${String(error)}`)
      }
      await sleep(50)
    }
  }
  async #checkpointStands(): Promise<void> {
    // One that is being put may be there already.
    const before = this.#checkpoint
    const [why, found] = await this.#blob('HEAD', 'blob', {})
    if (why !== null) this.told.problem(`a checkpoint cannot be read: ${why}`)
    else if (Number(found) < before || Number(found) > this.#underWay)
      this.told.problem(`the checkpoint is ${found}, and ${before} was answered`)
  }
  async before(): Promise<void> {}
  changes(): Promise<void> {
    return this.afterwards()
  }
  async whileFull(): Promise<void> {
    await using client = await RawClient.open({ port: this.#port })
    const fresh = await client.receiver(partitionOf('fresh'), { selector: earliest, credit: 5 })
    await fresh.take(5)
    if (this.#reading?.client.isClosed === false) {
      this.#reading.receiver.credit(5)
      await this.#reading.receiver.take(5)
    }
    await this.#checkpointStands()
    await this.told.mustRefuse('an owner level', () => this.#owns())
  }
  async #owns(): Promise<Answer> {
    await using client = await RawClient.open({ port: this.#port })
    const owner = await client.receiver(partitionOf('owned'), { epoch: this.#epoch++, selector: earliest, credit: 5 })
    const refused = client.detached().then(({ condition }) => condition)
    // Awaited: the connection is closed when this returns.
    return await Promise.race([owner.take(5).then(() => null), refused]).catch(() => 'nothing said')
  }
  async afterwards(): Promise<void> {
    await this.#checkpointStands()
    await this.told.mustTake('a checkpoint', async () => {
      const before = this.#checkpoint
      await sleep(200)
      return this.#checkpoint > before ? null : 'none was taken'
    })
    await this.told.mustTake('an owner level', () => this.#owns())
    if (this.#reading === null || this.#reading.client.isClosed) {
      const reader = await RawClient.open({ port: this.#port })
      const receiver = await reader.receiver(partitionOf('reading'), { selector: earliest })
      this.#reading = { client: reader, receiver }
    }
  }
  async stop(): Promise<void> {
    await Promise.all(this.#writers.map((one) => one.stop()))
    this.#isOver = true
    await this.#checkpoints
  }
  async check(http: string): Promise<void> {
    await checkTopic(http, hub, { writers: this.#writers, told: this.told })
    await this.#checkpointStands()
  }
  close(): void {
    this.#isOver = true
    for (const { client } of this.#links.values()) client.socket.destroy()
    this.#reading?.client.socket.destroy()
  }
}
const earliest = "amqp.annotation.x-opt-offset > '-1'"
