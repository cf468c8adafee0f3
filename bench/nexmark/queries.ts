/**
 * The Nexmark queries in our SQL, written from the benchmark's public definition. q6, q10 and q12 are left out: one is not
 * expressible in the SQL of the systems compared, one writes files, one goes by the time of processing.
 */
export const definitions = `
CREATE STREAM events (
  event_type int,
  person STRUCT<id bigint, name text, emailAddress text, creditCard text, city text, state text, dateTime timestamp,
    extra text>,
  auction STRUCT<id bigint, itemName text, description text, initialBid bigint, reserve bigint, dateTime timestamp,
    expires timestamp, seller bigint, category bigint, extra text>,
  bid STRUCT<auction bigint, bidder bigint, price bigint, channel text, url text, dateTime timestamp, extra text>,
  dateTime timestamp GENERATED ALWAYS AS
    (CASE event_type WHEN 0 THEN (person).dateTime WHEN 1 THEN (auction).dateTime ELSE (bid).dateTime END),
  WATERMARK FOR dateTime AS dateTime - INTERVAL '4 seconds'
) WITH (topic = 'events');
CREATE TABLE side_input (key bigint PRIMARY KEY, value text);`

/** Rows of q13's side table: 0 … 9999, each with its number as text. */
export const sideRows = 10_000

const person = `person AS (SELECT (person).id, (person).name, (person).city, (person).state, dateTime FROM events
  WHERE event_type = 0)`
const auction = `auction AS (SELECT (auction).id, (auction).itemName, (auction).description, (auction).initialBid,
  (auction).reserve, dateTime, (auction).expires, (auction).seller, (auction).category, (auction).extra FROM events
  WHERE event_type = 1)`
const bid = `bid AS (SELECT (bid).auction, (bid).bidder, (bid).price, (bid).channel, (bid).url, dateTime, (bid).extra FROM events
  WHERE event_type = 2)`

const ranks = [
  ['total', ''],
  ['rank1', ' FILTER (WHERE price < 10000)'],
  ['rank2', ' FILTER (WHERE price >= 10000 AND price < 1000000)'],
  ['rank3', ' FILTER (WHERE price >= 1000000)'],
]
const byRank = (name: string, aggregate: string): string =>
  ranks.map(([rank, filter]) => `${aggregate}${filter} AS ${rank}_${name}`).join(', ')
const bids = byRank('bids', 'count(*)')
const everyStat = `${bids}, ${byRank('bidders', 'count(DISTINCT bidder)')}, ${byRank('auctions', 'count(DISTINCT auction)')}`
const day = `to_char(dateTime, 'YYYY-MM-DD')`
/** Bids while the auction was open. */
const inTime = 'A.id = B.auction AND B.dateTime BETWEEN A.dateTime AND A.expires'
const channelId = `split_part(regexp_substr(url, '(&|^)channel_id=([^&]*)'), '=', 2)`
/** The n-th part of a URL, NULL where it has fewer. */
const part = (n: number): string =>
  `CASE WHEN length(url) - length(replace(url, '/', '')) >= ${n} THEN split_part(url, '/', ${n + 1}) END AS dir${n - 2}`

/** Name → query. Columns are named and ordered as in the benchmark. */
export const queries: Readonly<Record<string, string>> = {
  q0: `WITH ${bid} SELECT auction, bidder, price, dateTime, extra FROM bid`,
  q1: `WITH ${bid} SELECT auction, bidder, 0.908 * price AS price, dateTime, extra FROM bid`,
  q2: `WITH ${bid} SELECT auction, price FROM bid WHERE mod(auction, 123) = 0`,
  q3: `WITH ${person}, ${auction} SELECT P.name, P.city, P.state, A.id FROM auction A JOIN person P ON A.seller = P.id
    WHERE A.category = 10 AND P.state IN ('OR', 'ID', 'CA')`,
  q4: `WITH ${auction}, ${bid}, won AS (SELECT A.id, A.category, max(B.price) AS final FROM auction A, bid B WHERE ${inTime}
    GROUP BY A.id, A.category) SELECT category, trunc(avg(final))::bigint AS final FROM won GROUP BY category`,
  q5: `WITH ${bid}, counted AS (SELECT auction, count(*) AS num, window_start AS ws, window_end AS we
      FROM HOP(bid, dateTime, INTERVAL '2 seconds', INTERVAL '10 seconds') GROUP BY auction, window_start, window_end),
    most AS (SELECT max(num) AS maxn, ws, we FROM counted GROUP BY ws, we)
    SELECT N.auction, N.num, N.ws AS wstart, N.we AS wend FROM counted N
    JOIN most M ON N.ws = M.ws AND N.we = M.we AND N.num >= M.maxn`,
  q7: `WITH ${bid}, highest AS (SELECT max(price) AS maxprice, window_end AS wend
      FROM TUMBLE(bid, dateTime, INTERVAL '10 seconds') GROUP BY window_start, window_end)
    SELECT B.auction, B.bidder, B.price, B.dateTime, B.extra FROM bid B JOIN highest M ON B.price = M.maxprice
    WHERE B.dateTime BETWEEN M.wend - INTERVAL '10 seconds' AND M.wend`,
  q8: `WITH ${person}, ${auction},
    P AS (SELECT id, name, window_start AS ws, window_end AS we FROM TUMBLE(person, dateTime, INTERVAL '10 seconds')
      GROUP BY id, name, window_start, window_end),
    A AS (SELECT seller, window_start AS ws, window_end AS we FROM TUMBLE(auction, dateTime, INTERVAL '10 seconds')
      GROUP BY seller, window_start, window_end)
    SELECT P.id, P.name, P.ws AS stime FROM P JOIN A ON P.id = A.seller AND P.ws = A.ws AND P.we = A.we`,
  q9: `WITH ${auction}, ${bid}, ranked AS (SELECT A.*, B.auction, B.bidder, B.price, B.dateTime AS bid_dateTime,
      B.extra AS bid_extra, row_number() OVER (PARTITION BY A.id ORDER BY B.price DESC, B.dateTime) AS rn
      FROM auction A, bid B WHERE ${inTime})
    SELECT id, itemName, description, initialBid, reserve, dateTime, expires, seller, category, extra, auction, bidder, price,
      bid_dateTime, bid_extra FROM ranked WHERE rn <= 1`,
  q11: `WITH ${bid} SELECT bidder, count(*) AS bid_count, window_start AS starttime, window_end AS endtime
    FROM SESSION(bid, dateTime, INTERVAL '10 seconds', bidder) GROUP BY bidder, window_start, window_end`,
  q13: `WITH ${bid} SELECT B.auction, B.bidder, B.price, B.dateTime, S.value FROM bid B
    JOIN side_input FOR SYSTEM_TIME AS OF PROCTIME() AS S ON mod(B.auction, 10000) = S.key`,
  q14: `WITH ${bid}, hours AS (SELECT *, extract(hour FROM dateTime) AS hour FROM bid)
    SELECT auction, bidder, 0.908 * price AS price, CASE WHEN hour >= 8 AND hour <= 18 THEN 'dayTime'
      WHEN hour <= 6 OR hour >= 20 THEN 'nightTime' ELSE 'otherTime' END AS bidTimeType, dateTime, extra,
      (length(extra) - length(replace(extra, 'c', '')))::bigint AS c_counts
    FROM hours WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000`,
  q15: `WITH ${bid} SELECT ${day} AS day, ${everyStat} FROM bid GROUP BY ${day}`,
  q16: `WITH ${bid} SELECT channel, ${day} AS day, max(to_char(dateTime, 'HH24:MI')) AS minute, ${everyStat} FROM bid
    GROUP BY channel, ${day}`,
  q17: `WITH ${bid} SELECT auction, ${day} AS day, ${bids}, min(price) AS min_price, max(price) AS max_price,
    trunc(avg(price))::bigint AS avg_price, sum(price)::bigint AS sum_price FROM bid GROUP BY auction, ${day}`,
  q18: `WITH ${bid} SELECT auction, bidder, price, channel, url, dateTime, extra FROM (SELECT *, row_number() OVER (PARTITION BY
    bidder, auction ORDER BY dateTime DESC) AS rn FROM bid) t WHERE rn <= 1`,
  q19: `WITH ${bid} SELECT auction, bidder, price, channel, url, dateTime, extra, rank_number FROM (SELECT *, row_number() OVER
    (PARTITION BY auction ORDER BY price DESC) AS rank_number FROM bid) t WHERE rank_number <= 10`,
  q20: `WITH ${auction}, ${bid} SELECT B.auction, B.bidder, B.price, B.channel, B.url, B.dateTime AS bid_dateTime,
      B.extra AS bid_extra, A.itemName, A.description, A.initialBid, A.reserve, A.dateTime AS auction_dateTime, A.expires,
      A.seller, A.category, A.extra AS auction_extra
    FROM bid B JOIN auction A ON B.auction = A.id WHERE A.category = 10`,
  q21: `WITH ${bid}, found AS (SELECT *, CASE lower(channel) WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2'
      WHEN 'baidu' THEN '3' ELSE ${channelId} END AS channel_id FROM bid)
    SELECT auction, bidder, price, channel, channel_id FROM found WHERE channel_id IS NOT NULL`,
  q22: `WITH ${bid} SELECT auction, bidder, price, channel, ${part(3)}, ${part(4)}, ${part(5)} FROM bid`,
}

/** Those whose windows close, as Flink's do: a window's rows come once, when the watermark has passed its end. */
const windowed = ['q5', 'q7', 'q8', 'q11']
export const closingQueries: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(queries).map(([name, text]) => [
    name,
    windowed.includes(name) ? `${text} EMIT ON WINDOW CLOSE` : text,
  ]),
)
/** Of no type that a query reads, years ahead: all windows close. */
export const closingEvent = JSON.stringify({
  event_type: 3,
  person: null,
  auction: null,
  bid: { auction: 0, bidder: 0, price: 0, channel: '', url: '', dateTime: '2020-01-01 00:00:00.000', extra: '' },
})
