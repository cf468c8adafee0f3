/**
 * The Nexmark queries in Flink's SQL, written from the benchmark's public definition, as scripts for `millrace.Runner`.
 * Columns are named as in `bench/nexmark/queries.ts`.
 */
import { sideRows } from '../../nexmark/queries.ts'

interface FlinkQuery {
  /** Of the sink. */
  readonly columns: string
  readonly sql: string
}
const window = (kind: string, table: string, sizes: string): string =>
  `TABLE(${kind}(TABLE ${table}, DESCRIPTOR(dateTime), ${sizes}))`
const tenSeconds = `INTERVAL '10' SECOND`
const hopping = window('HOP', 'bid', `INTERVAL '2' SECOND, ${tenSeconds}`)
const tumbling = (table: string): string => window('TUMBLE', table, tenSeconds)

const bid = 'auction BIGINT, bidder BIGINT, price BIGINT'
const timed = 'dateTime TIMESTAMP(3), extra STRING'
const whole = `${bid}, channel STRING, url STRING`
const auction = 'itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT'
const stats = ['bids: count(*)', 'bidders: count(DISTINCT bidder)', 'auctions: count(DISTINCT auction)'].flatMap(
  (stat) => {
    const [name, count] = stat.split(': ')
    return [
      `${count} AS total_${name}`,
      `${count} FILTER (WHERE price < 10000) AS rank1_${name}`,
      `${count} FILTER (WHERE price >= 10000 AND price < 1000000) AS rank2_${name}`,
      `${count} FILTER (WHERE price >= 1000000) AS rank3_${name}`,
    ]
  },
)
const countColumns = (list: readonly string[]): string =>
  list.map((stat) => `${stat.split(' AS ')[1]} BIGINT`).join(', ')
const day = `DATE_FORMAT(dateTime, 'yyyy-MM-dd')`
const inTime = 'A.id = B.auction AND B.dateTime BETWEEN A.dateTime AND A.expires'
const channelId = `REGEXP_EXTRACT(url, '(&|^)channel_id=([^&]*)', 2)`

const queries: Readonly<Record<string, FlinkQuery>> = {
  q0: { columns: `${bid}, ${timed}`, sql: 'SELECT auction, bidder, price, dateTime, extra FROM bid' },
  q1: {
    columns: `auction BIGINT, bidder BIGINT, price DECIMAL(23, 3), ${timed}`,
    sql: 'SELECT auction, bidder, 0.908 * price AS price, dateTime, extra FROM bid',
  },
  q2: {
    columns: 'auction BIGINT, price BIGINT',
    sql: 'SELECT auction, price FROM bid WHERE MOD(auction, 123) = 0',
  },
  q3: {
    columns: 'name STRING, city STRING, state STRING, id BIGINT',
    sql: `SELECT P.name, P.city, P.state, A.id FROM auction A JOIN person P ON A.seller = P.id
      WHERE A.category = 10 AND P.state IN ('OR', 'ID', 'CA')`,
  },
  q4: {
    columns: 'category BIGINT, final BIGINT',
    sql: `SELECT category, AVG(final) FROM (SELECT MAX(B.price) AS final, A.category FROM auction A, bid B WHERE ${inTime}
      GROUP BY A.id, A.category) GROUP BY category`,
  },
  q5: {
    columns: 'auction BIGINT, num BIGINT, wstart TIMESTAMP(3), wend TIMESTAMP(3)',
    sql: `SELECT N.auction, N.num, N.ws, N.we FROM
      (SELECT auction, count(*) AS num, window_start AS ws, window_end AS we FROM ${hopping}
        GROUP BY auction, window_start, window_end) N
      JOIN (SELECT max(num) AS maxn, ws, we FROM (SELECT count(*) AS num, window_start AS ws, window_end AS we FROM ${hopping}
        GROUP BY auction, window_start, window_end) GROUP BY ws, we) M
      ON N.ws = M.ws AND N.we = M.we AND N.num >= M.maxn`,
  },
  q7: {
    columns: `${bid}, ${timed}`,
    sql: `SELECT B.auction, B.bidder, B.price, B.dateTime, B.extra FROM bid B
      JOIN (SELECT MAX(price) AS maxprice, window_end AS wend FROM ${tumbling('bid')} GROUP BY window_start, window_end) M
      ON B.price = M.maxprice WHERE B.dateTime BETWEEN M.wend - ${tenSeconds} AND M.wend`,
  },
  q8: {
    columns: 'id BIGINT, name STRING, stime TIMESTAMP(3)',
    sql: `SELECT P.id, P.name, P.ws FROM
      (SELECT id, name, window_start AS ws, window_end AS we FROM ${tumbling('person')}
        GROUP BY id, name, window_start, window_end) P
      JOIN (SELECT seller, window_start AS ws, window_end AS we FROM ${tumbling('auction')}
        GROUP BY seller, window_start, window_end) A
      ON P.id = A.seller AND P.ws = A.ws AND P.we = A.we`,
  },
  q9: {
    // Without the key Flink 2.3 plans the rank wrongly (FLINK-40368).
    columns: `id BIGINT PRIMARY KEY NOT ENFORCED, ${auction}, dateTime TIMESTAMP(3), expires TIMESTAMP(3), seller BIGINT,
      category BIGINT, extra STRING, ${bid}, bid_dateTime TIMESTAMP(3), bid_extra STRING`,
    sql: `SELECT id, itemName, description, initialBid, reserve, dateTime, expires, seller, category, extra, auction, bidder,
        price, bid_dateTime, bid_extra FROM
      (SELECT A.*, B.auction, B.bidder, B.price, B.dateTime AS bid_dateTime, B.extra AS bid_extra,
        ROW_NUMBER() OVER (PARTITION BY A.id ORDER BY B.price DESC, B.dateTime ASC) AS rn
        FROM auction A, bid B WHERE ${inTime}) WHERE rn <= 1`,
  },
  q11: {
    columns: 'bidder BIGINT, bid_count BIGINT, starttime TIMESTAMP(3), endtime TIMESTAMP(3)',
    sql: `SELECT bidder, count(*), SESSION_START(dateTime, ${tenSeconds}), SESSION_END(dateTime, ${tenSeconds}) FROM bid
      GROUP BY bidder, SESSION(dateTime, ${tenSeconds})`,
  },
  q13: {
    columns: `${bid}, dateTime TIMESTAMP(3), \`value\` STRING`,
    sql: `SELECT B.auction, B.bidder, B.price, B.dateTime, S.\`value\` FROM (SELECT *, PROCTIME() AS p_time FROM bid) B
      JOIN side_input FOR SYSTEM_TIME AS OF B.p_time AS S ON MOD(B.auction, 10000) = S.key`,
  },
  q14: {
    columns: `auction BIGINT, bidder BIGINT, price DECIMAL(23, 3), bidTimeType STRING, ${timed}, c_counts BIGINT`,
    sql: `SELECT auction, bidder, 0.908 * price AS price,
        CASE WHEN HOUR(dateTime) >= 8 AND HOUR(dateTime) <= 18 THEN 'dayTime'
          WHEN HOUR(dateTime) <= 6 OR HOUR(dateTime) >= 20 THEN 'nightTime' ELSE 'otherTime' END AS bidTimeType,
        dateTime, extra, count_char(extra, 'c') AS c_counts
      FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000`,
  },
  q15: {
    columns: `\`day\` STRING, ${countColumns(stats)}`,
    sql: `SELECT ${day} AS \`day\`, ${stats.join(', ')} FROM bid GROUP BY ${day}`,
  },
  q16: {
    columns: `channel STRING, \`day\` STRING, \`minute\` STRING, ${countColumns(stats)}`,
    sql: `SELECT channel, ${day} AS \`day\`, max(DATE_FORMAT(dateTime, 'HH:mm')) AS \`minute\`, ${stats.join(', ')} FROM bid
      GROUP BY channel, ${day}`,
  },
  q17: {
    columns: `auction BIGINT, \`day\` STRING, ${countColumns(stats.slice(0, 4))}, min_price BIGINT, max_price BIGINT,
      avg_price BIGINT, sum_price BIGINT`,
    sql: `SELECT auction, ${day} AS \`day\`, ${stats.slice(0, 4).join(', ')}, min(price) AS min_price, max(price) AS max_price,
      avg(price) AS avg_price, sum(price) AS sum_price FROM bid GROUP BY auction, ${day}`,
  },
  q18: {
    columns: `${whole}, ${timed}`,
    sql: `SELECT auction, bidder, price, channel, url, dateTime, extra FROM
      (SELECT *, ROW_NUMBER() OVER (PARTITION BY bidder, auction ORDER BY dateTime DESC) AS rn FROM bid) WHERE rn <= 1`,
  },
  q19: {
    columns: `${whole}, ${timed}, rank_number BIGINT`,
    sql: `SELECT auction, bidder, price, channel, url, dateTime, extra, rank_number FROM
      (SELECT *, ROW_NUMBER() OVER (PARTITION BY auction ORDER BY price DESC) AS rank_number FROM bid) WHERE rank_number <= 10`,
  },
  q20: {
    columns: `${whole}, bid_dateTime TIMESTAMP(3), bid_extra STRING, ${auction}, auction_dateTime TIMESTAMP(3),
      expires TIMESTAMP(3), seller BIGINT, category BIGINT, auction_extra STRING`,
    sql: `SELECT B.auction, B.bidder, B.price, B.channel, B.url, B.dateTime, B.extra, A.itemName, A.description, A.initialBid,
      A.reserve, A.dateTime, A.expires, A.seller, A.category, A.extra FROM bid B JOIN auction A ON B.auction = A.id
      WHERE A.category = 10`,
  },
  q21: {
    columns: `${bid}, channel STRING, channel_id STRING`,
    sql: `SELECT auction, bidder, price, channel, CASE WHEN LOWER(channel) = 'apple' THEN '0' WHEN LOWER(channel) = 'google' THEN '1'
        WHEN LOWER(channel) = 'facebook' THEN '2' WHEN LOWER(channel) = 'baidu' THEN '3' ELSE ${channelId} END AS channel_id
      FROM bid WHERE ${channelId} IS NOT NULL OR LOWER(channel) IN ('apple', 'google', 'facebook', 'baidu')`,
  },
  q22: {
    columns: `${bid}, channel STRING, dir1 STRING, dir2 STRING, dir3 STRING`,
    sql: `SELECT auction, bidder, price, channel, SPLIT_INDEX(url, '/', 3) AS dir1, SPLIT_INDEX(url, '/', 4) AS dir2,
      SPLIT_INDEX(url, '/', 5) AS dir3 FROM bid`,
  },
}

const definitions = (source: Properties): string => `CREATE TABLE events (event_type INT,
  person ROW<id BIGINT, name STRING, emailAddress STRING, creditCard STRING, city STRING, state STRING,
    dateTime TIMESTAMP(3), extra STRING>,
  auction ROW<id BIGINT, itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT, dateTime TIMESTAMP(3),
    expires TIMESTAMP(3), seller BIGINT, category BIGINT, extra STRING>,
  bid ROW<auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, dateTime TIMESTAMP(3), extra STRING>,
  dateTime AS CASE WHEN event_type = 0 THEN person.dateTime WHEN event_type = 1 THEN auction.dateTime ELSE bid.dateTime END,
  WATERMARK FOR dateTime AS dateTime - INTERVAL '4' SECOND) ${connectedWith(source)};
CREATE VIEW person AS SELECT person.id, person.name, person.emailAddress, person.creditCard, person.city, person.state,
  dateTime, person.extra FROM events WHERE event_type = 0;
CREATE VIEW auction AS SELECT auction.id, auction.itemName, auction.description, auction.initialBid, auction.reserve,
  dateTime, auction.expires, auction.seller, auction.category, auction.extra FROM events WHERE event_type = 1;
CREATE VIEW bid AS SELECT bid.auction, bid.bidder, bid.price, bid.channel, bid.url, dateTime, bid.extra FROM events
  WHERE event_type = 2;
CREATE TABLE side_input (key BIGINT, \`value\` STRING) ${connectedWith({ connector: 'side-table', rows: sideRows })};
CREATE TEMPORARY SYSTEM FUNCTION count_char AS 'millrace.CountChar';`

export type Properties = Readonly<Record<string, string | number>>
const connectedWith = (properties: Properties): string =>
  `WITH (${Object.entries(properties)
    .map(([name, value]) => `'${name}' = '${value}'`)
    .join(', ')})`

/** Settings, definitions and the INSERT of a query from a source into a black hole. */
export function flinkScript(query: string, source: Properties, settings: Properties): string {
  const { columns, sql } = queries[query]!
  const set = Object.entries(settings).map(([name, value]) => `SET '${name}' = '${value}';\n`)
  const text = `${definitions(source)}
CREATE TABLE results (${columns}) ${connectedWith({ connector: 'blackhole' })};
INSERT INTO results ${sql};
`
  // It is a name of Flink's grammar too.
  return set.join('') + text.replaceAll(/\bdateTime\b/g, '`dateTime`')
}
