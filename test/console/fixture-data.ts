/**
 * A small shop that never closes, in memory: what the fixture server answers with. Time and chance come from one counter,
 * so that two runs look alike.
 */
import type {
  Change,
  ConnectorJson,
  Diagnosis,
  FiredAlert,
  Graph,
  GroupSummary,
  Overview,
  Payload,
  RecordJson,
  RelationInfo,
  TopicDetail,
  TopicReader,
  TopicSummary,
} from '../../src/gateway/http/api.ts'
import type { AlertInfo } from '../../src/gateway/http/api.ts'
import type { Columns, DataType } from '../../src/schema/types.ts'

export interface StoredTopic {
  readonly name: string
  readonly partitions: RecordJson[][]
  config: Record<string, string>
  schema: unknown
  onInvalid: 'reject' | 'quarantine' | 'null' | null
  keyField: string | null
  rate: number
}

export class Shop {
  readonly topics = new Map<string, StoredTopic>()
  readonly views = new Map<string, RelationInfo>()
  readonly rows = new Map<string, Map<string, Record<string, unknown>>>()
  readonly alerts: AlertInfo[] = []
  readonly fired: FiredAlert[] = []
  readonly groups: GroupSummary[] = []
  readonly connectors: ConnectorJson[] = []
  readonly readers: readonly TopicReader[] = [
    { protocol: 'mqtt', kind: 'session', name: 'tills-7', about: 'purchases/#', isConnected: true, lag: null },
    { protocol: 'pubsub', kind: 'subscription', name: 'mailers', about: 'pull', isConnected: null, lag: 17 },
  ]
  readonly causes = new Map<string, readonly Diagnosis[]>()
  /** Told of each new record, change and alert. */
  readonly onRecord = new Set<(topic: string, record: RecordJson) => void>()
  readonly onChange = new Set<(view: string, change: Change) => void>()
  readonly onFired = new Set<(alert: FiredAlert) => void>()
  busyNode: string | null = null
  heldBackBy: string | null = null
  quarantined = 12
  late = 37
  #nr = 0
  readonly #startMs = Date.now()

  constructor() {
    this.addTopic('purchases', 3, { schema: purchaseSchema, onInvalid: 'quarantine', keyField: 'customer' })
    this.addTopic('items', 1, { config: { 'cleanup.policy': 'compact' } })
    this.addTopic('purchases.quarantine', 1, {})
    this.addTopic('empty', 2, {})
    this.addTopic('sensor-bytes', 1, {})
    this.#declareViews()
    for (let i = 0; i < 5000; i++) this.buy(this.#startMs - (5000 - i) * 1000)
    this.append('purchases.quarantine', {
      value: { text: '{"customer":"c1","amount":"much"}' },
      headers: [
        ['mr-reason', 'schema.invalid'],
        ['mr-error', '/amount must be number'],
      ],
    })
    this.append('sensor-bytes', {
      key: { base64: 'AAEC' },
      value: {
        base64: Buffer.from([0, 1, 2, 250, 65, 66, 67, 10, 255, 0, 17, 18, 19, 20, 21, 22, 23, 24]).toString('base64'),
      },
    })
  }

  addTopic(name: string, partitions: number, rest: Partial<StoredTopic>): StoredTopic {
    const topic = {
      name,
      partitions: Array.from({ length: partitions }, () => []),
      config: {},
      schema: null,
      onInvalid: null,
      keyField: null,
      rate: 0,
      ...rest,
    }
    this.topics.set(name, topic)
    return topic
  }

  append(
    name: string,
    given: { partition?: number; atMs?: number; key?: Payload; value: Payload; headers?: [string, string][] },
  ): RecordJson {
    const topic = this.topics.get(name) ?? this.addTopic(name, 1, {})
    const partition = given.partition ?? this.#nr % topic.partitions.length
    const record: RecordJson = {
      partition,
      offset: topic.partitions[partition]!.length,
      timestamp: new Date(given.atMs ?? Date.now()).toISOString(),
      key: given.key ?? null,
      value: given.value,
      headers: (given.headers ?? []).map(([header, value]) => ({ name: header, value: { text: value } })),
    }
    topic.partitions[partition]!.push(record)
    for (const tell of this.onRecord) tell(name, record)
    return record
  }

  /** One purchase, through every view. */
  buy(atMs = Date.now()): void {
    const nr = this.#nr++
    const customer = `c${(nr * 7919) % 97}`
    const item = `cd-${String((nr * 31) % 24).padStart(3, '0')}`
    const amount = Math.round(500 + 400 * Math.sin(nr / 40) + ((nr * 13) % 300)) / 100
    this.append('purchases', {
      atMs,
      partition: nr % 3,
      key: { text: customer },
      value: { json: { customer, item, amount, nr } },
    })
    const stock = this.rows.get('stock')!.get(JSON.stringify([item]))
    this.#set(
      'stock',
      [item],
      {
        item,
        stock: stock === undefined ? 400 : (Number(stock['stock']) + 399) % 400,
        sold: Number(stock?.['sold'] ?? 0) + 1,
      },
      atMs,
    )
    const window = new Date(Math.floor(atMs / 60_000) * 60_000).toISOString()
    const revenue = this.rows.get('revenue')!.get(JSON.stringify([window, item.slice(0, 4)]))
    this.#set(
      'revenue',
      [window, item.slice(0, 4)],
      {
        window_start: window,
        shelf: item.slice(0, 4),
        revenue: Math.round((Number(revenue?.['revenue'] ?? 0) + amount) * 100) / 100,
        sales: Number(revenue?.['sales'] ?? 0) + 1,
      },
      atMs,
    )
    if (nr % 400 === 399)
      this.fire(
        `Customer ${customer} paid ${amount}, far above what is usual for them`,
        customer,
        { customer, amount },
        nr,
      )
  }

  fire(message: string, key: string, row: Record<string, unknown>, nr = this.#nr, atMs = Date.now()): FiredAlert {
    const alert: FiredAlert = {
      id: `alert-${this.fired.length}`,
      alert: this.fired.length % 3 === 2 ? 'reorder' : 'unusual_amount',
      key,
      row,
      message,
      firedAt: new Date(atMs).toISOString(),
      origin: [`purchases:${nr % 3}:${Math.floor(nr / 3)}..${Math.floor(nr / 3) + 2}`],
      deliveries: [
        {
          destination: 'http://127.0.0.1:9999/hook',
          status: this.fired.length % 4 === 3 ? 'dead' : 'delivered',
          attempts: this.fired.length % 4 === 3 ? 5 : 1,
          error: this.fired.length % 4 === 3 ? 'connect ECONNREFUSED' : null,
        },
      ],
    }
    this.fired.unshift(alert)
    for (const tell of this.onFired) tell(alert)
    return alert
  }

  topicSummary(topic: StoredTopic): TopicSummary {
    const records = topic.partitions.reduce((sum, p) => sum + p.length, 0)
    const policy = topic.config['cleanup.policy'] ?? 'delete'
    return {
      name: topic.name,
      id: topic.name,
      partitions: topic.partitions.length,
      records,
      bytes: records * 120,
      recordsPerSecond: topic.rate,
      bytesPerSecond: topic.rate * 120,
      retentionMs: Number(topic.config['retention.ms'] ?? -1),
      cleanupPolicy: policy,
      hasSchema: topic.schema !== null,
    }
  }

  topicDetail(topic: StoredTopic): TopicDetail {
    const partitionDetails = topic.partitions.map((records, partition) => ({
      partition,
      start: 0,
      stable: records.length,
      end: records.length,
      bytes: records.length * 120,
    }))
    return {
      ...this.topicSummary(topic),
      config: topic.config,
      schema: topic.schema,
      onInvalid: topic.onInvalid,
      keyField: topic.keyField,
      partitionDetails,
    }
  }

  overview(): Overview {
    const rate = [...this.topics.values()].reduce((sum, t) => sum + t.rate, 0)
    return {
      version: '0.1.0',
      uptimeMs: Date.now() - this.#startMs,
      topics: this.topics.size,
      partitions: 8,
      views: this.views.size,
      alerts: this.alerts.length,
      groups: this.groups.length,
      recordsInPerSecond: rate,
      bytesInPerSecond: rate * 120,
      recordsOutPerSecond: rate * 2,
      quarantined: this.quarantined,
      late: this.late,
      rssBytes: 131_000_000 + Math.round(9e6 * Math.abs(Math.sin(Date.now() / 20_000))),
      diskBytes: 48_000_000,
      diskFreeBytes: 412_000_000_000,
    }
  }

  graph(): Graph {
    const watermark = new Date(Math.floor(Date.now() / 1000) * 1000 - 5000).toISOString()
    const behind = new Date(Date.now() - 185_000).toISOString()
    const rate = this.topics.get('purchases')!.rate
    const rows = this.#nr
    const node = (id: string, kind: string, label: string, more: object = {}): Graph['nodes'][number] => ({
      id,
      kind,
      label,
      rowsIn: rows,
      rowsOut: rows,
      late: 0,
      stateRows: 0,
      stateBytes: 0,
      watermark,
      busy: this.busyNode === id ? 0.93 : 0.08,
      ...more,
    })
    const edge = (from: string, to: string, more: object = {}): Graph['edges'][number] => ({
      from,
      to,
      rows,
      rowsPerSecond: rate,
      watermark,
      ...more,
    })
    return {
      nodes: [
        node('s1', 'source', 'purchases'),
        node('s2', 'source', 'items', { watermark: this.heldBackBy === null ? watermark : behind }),
        node('f', 'filter', 'amount > 0'),
        node('j', 'temporal-join', 'purchases.item = items.item', { stateRows: 24, stateBytes: 4096 }),
        node('a', 'aggregate', 'by window_start, shelf', { stateRows: 120, stateBytes: 65_536, late: this.late }),
        node('k', 'sink', 'revenue'),
      ],
      edges: [
        edge('s1', 'f'),
        edge('f', 'j'),
        edge('s2', 'j', { rowsPerSecond: 0.2, rows: 24, watermark: this.heldBackBy === null ? watermark : behind }),
        edge('j', 'a'),
        edge('a', 'k', { rowsPerSecond: rate / 4 }),
      ],
      heldBackBy: this.heldBackBy,
    }
  }

  #set(view: string, key: unknown[], row: Record<string, unknown>, atMs: number): void {
    const rows = this.rows.get(view)!
    const id = JSON.stringify(key)
    const before = rows.get(id)
    const at = new Date(atMs).toISOString()
    rows.set(id, row)
    for (const tell of this.onChange) {
      if (before !== undefined) tell(view, { op: '-', row: before, at })
      tell(view, { op: '+', row, at })
      tell(view, { op: 'progress', at, watermark: at })
    }
    const { stats, ...info } = this.views.get(view)!
    this.views.set(view, {
      ...info,
      watermark: at,
      stats: { ...stats, rowsIn: stats.rowsIn + 1, rowsOut: stats.rowsOut + 1 },
    })
  }

  #declareViews(): void {
    const stats = { rowsIn: 0, rowsOut: 0, late: 0, invalid: 0, stateBytes: 0 }
    const declare = (
      name: string,
      kind: RelationInfo['kind'],
      columns: Columns,
      key: string[] | null,
      sql: string,
      more: Partial<RelationInfo> = {},
    ): void => {
      this.views.set(name, {
        name,
        kind,
        columns,
        key,
        topic: name,
        sql,
        status: 'running',
        error: null,
        stats,
        watermark: null,
        ...more,
      })
      this.rows.set(name, new Map())
    }
    const column = (name: string, kind: 'text' | 'double' | 'bigint' | 'timestamptz'): Columns[number] => ({
      name,
      type: { kind } as DataType,
      nullable: false,
    })
    declare(
      'purchases',
      'stream',
      [column('customer', 'text'), column('item', 'text'), column('amount', 'double')],
      null,
      'CREATE STREAM purchases (customer text, item text, amount double precision)',
    )
    declare(
      'stock',
      'view',
      [column('item', 'text'), column('stock', 'bigint'), column('sold', 'bigint')],
      ['item'],
      'CREATE MATERIALIZED VIEW stock AS\nSELECT item, 400 - count(*) AS stock, count(*) AS sold\nFROM purchases GROUP BY item',
    )
    declare(
      'revenue',
      'view',
      [
        column('window_start', 'timestamptz'),
        column('shelf', 'text'),
        column('revenue', 'double'),
        column('sales', 'bigint'),
      ],
      ['window_start', 'shelf'],
      "CREATE MATERIALIZED VIEW revenue AS\nSELECT window_start, substr(item, 1, 4) AS shelf, sum(amount) AS revenue, count(*) AS sales\nFROM TUMBLE(purchases, bought_at, INTERVAL '1 minute')\nGROUP BY window_start, window_end, shelf",
      { stats: { ...stats, late: 37, stateBytes: 65_536 } },
    )
    declare(
      'broken',
      'view',
      [column('item', 'text')],
      null,
      'CREATE MATERIALIZED VIEW broken AS SELECT item FROM purchases WHERE 1 / 0 = 1',
      {
        status: 'failed',
        error: { code: 'sql.division-by-zero', message: 'division by zero in the filter of broken' },
      },
    )
    this.alerts.push(
      {
        name: 'unusual_amount',
        sql: "CREATE ALERT unusual_amount AS\nSELECT customer, amount FROM suspicious\nNOTIFY WEBHOOK 'http://127.0.0.1:9999/hook'",
        destinations: ['http://127.0.0.1:9999/hook'],
        fired: 12,
        suppressed: 3,
        deliveryFailures: 1,
        status: 'running',
      },
      {
        name: 'reorder',
        sql: 'CREATE ALERT reorder AS SELECT item, stock FROM stock WHERE stock < 20 NOTIFY CONSOLE',
        destinations: [],
        fired: 4,
        suppressed: 0,
        deliveryFailures: 0,
        status: 'running',
      },
    )
    this.groups.push(
      {
        group: 'billing',
        state: 'Stable',
        members: [
          {
            id: 'billing-1-6f2a',
            client: 'billing-1',
            host: '127.0.0.1',
            held: [
              { topic: 'purchases', partition: 0 },
              { topic: 'purchases', partition: 1 },
            ],
          },
        ],
        lag: 420,
        lagSeconds: 83.5,
        positions: [0, 1, 2].map((partition) => ({
          topic: 'purchases',
          partition,
          offset: 1500,
          end: 1640,
          lag: 140,
          lagSeconds: 83.5,
        })),
      },
      {
        group: 'archive',
        state: 'Empty',
        members: [],
        lag: 0,
        lagSeconds: 0,
        positions: [{ topic: 'items', partition: 0, offset: 0, end: 0, lag: 0, lagSeconds: 0 }],
      },
    )
    this.connectors.push(
      {
        ...connector,
        name: 'west',
        kind: 'kafka',
        direction: 'source',
        settings: { brokers: 'kafka-1:9092', topics: 'orders', password: '…' },
        status: 'running',
        lag: 12,
        records: 45_678,
        bytes: 9_876_543,
        refused: 3,
        carriedAt: new Date(Date.now() - 4000).toISOString(),
      },
      {
        ...connector,
        name: 'out',
        kind: 'mqtt',
        direction: 'sink',
        settings: { url: 'mqtt://broker:1883', topics: 'purchases' },
        status: 'failed',
        fault: { code: 'connect.refused', detail: 'the broker refuses the password', hint: 'Mend the settings.' },
        faultAt,
        lag: null,
        records: 0,
        bytes: 0,
      },
    )
    this.causes.set('out', [
      {
        code: 'failed',
        sure: 'yes',
        node: null,
        says: 'The connector stopped: the broker refuses the password.',
        evidence: [`since ${faultAt}`],
        remedy: 'Mend that, then millrace connector resume out',
      },
    ])
  }
}

const connector = {
  restartsAt: null,
  fault: null,
  faultAt: null,
  restarts: 0,
  refused: 0,
  carriedAt: null,
} as const
const faultAt = '2026-01-02T03:04:05.678Z'

const purchaseSchema = {
  type: 'object',
  required: ['customer', 'amount'],
  properties: {
    customer: { type: 'string' },
    item: { type: 'string' },
    amount: { type: 'number', minimum: 0 },
    bought_at: { type: 'string', format: 'date-time' },
  },
}
