/**
 * Queries over random rows: a one-off SELECT gives what DuckDB gives, and a view of the same query holds the same after
 * rows have come in many small steps. SEED chooses the rows.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { type House, openHouse } from './house.ts'

const seed = Number(process.env['SEED'] ?? 11)
let state = seed
const random = (): number => {
  state = (state * 1103515245 + 12345) % 2147483648
  return state / 2147483648
}
const pick = <T>(items: readonly T[]): T => items[Math.floor(random() * items.length)]!

interface Sale {
  readonly id: number
  readonly customer: string | null
  readonly item: string
  readonly quantity: number | null
  readonly amount: string | null
  readonly ratio: number | null
  readonly sold: string
}
const start = Date.UTC(2024, 0, 1)
const sales: readonly Sale[] = Array.from({ length: 240 }, (_, id) => ({
  id,
  customer: random() < 0.1 ? null : `c${Math.floor(random() * 12)}`,
  item: pick(['apple', 'pear', 'plum', 'fig', 'kiwi']),
  quantity: random() < 0.1 ? null : Math.floor(random() * 9) - 2,
  amount: random() < 0.1 ? null : (random() * 200 - 20).toFixed(2),
  ratio: random() < 0.1 ? null : Math.floor(random() * 64) / 8,
  sold: new Date(start + id * 601_000 + Math.floor(random() * 600_000)).toISOString(),
}))
const literal = (value: string | number | null): string =>
  value === null ? 'NULL' : typeof value === 'number' ? String(value) : `'${value}'`
const valuesOf = (rows: readonly Sale[]): string =>
  rows
    .map((s) => `(${[s.id, s.customer, s.item, s.quantity, s.amount, s.ratio, s.sold].map(literal).join(', ')})`)
    .join(', ')
const stock = ['apple', 'pear', 'plum', 'fig'].map((item, i) => `('${item}', ${i * 7}, ${i}.25)`).join(', ')

/** The same text for both. Window functions of streams have a twin in plain SQL. */
const queries: readonly (string | { readonly ours: string; readonly theirs: string; readonly waits?: true })[] = [
  'SELECT id, customer, item, quantity, amount, ratio FROM sales',
  'SELECT id, amount * 2 AS twice, amount + quantity AS more FROM sales WHERE amount > 50 AND quantity IS NOT NULL',
  "SELECT id FROM sales WHERE item IN ('apple', 'fig') AND NOT (quantity < 2)",
  "SELECT id, upper(item) AS big, length(item) AS n, item || '-' || id AS tag FROM sales WHERE item LIKE 'p%'",
  "SELECT id, CASE WHEN amount > 100 THEN 'big' WHEN amount > 0 THEN 'small' ELSE 'none' END AS size FROM sales",
  'SELECT id, coalesce(customer, item) AS who, nullif(quantity, 0) AS q FROM sales',
  'SELECT id FROM sales WHERE customer IS NULL OR ratio BETWEEN 1 AND 3',
  'SELECT count(*) AS n, count(customer) AS c, sum(quantity) AS q, min(item) AS first, max(amount) AS most FROM sales',
  'SELECT item, count(*) AS n, sum(amount) AS total, min(quantity) AS low, max(ratio) AS high FROM sales GROUP BY item',
  'SELECT customer, item, count(*) AS n FROM sales GROUP BY customer, item',
  'SELECT customer, count(DISTINCT item) AS items FROM sales GROUP BY customer',
  'SELECT item, count(*) FILTER (WHERE quantity > 3) AS many, sum(quantity) FILTER (WHERE ratio > 2) AS q FROM sales GROUP BY item',
  'SELECT item, count(*) AS n FROM sales GROUP BY item HAVING count(*) > 45',
  'SELECT quantity % 3 AS rest, count(*) AS n, avg(ratio) AS mean FROM sales GROUP BY quantity % 3',
  'SELECT item, round(stddev_samp(ratio)::numeric(20,10), 6) AS sd, round(var_pop(ratio)::numeric(20,10), 6) AS v FROM sales GROUP BY item',
  'SELECT item, bool_and(quantity > -3) AS every, bool_or(amount > 150) AS some FROM sales GROUP BY item',
  'SELECT DISTINCT item, quantity FROM sales WHERE quantity > 4',
  'SELECT item FROM sales WHERE quantity = 1 UNION ALL SELECT item FROM stock WHERE pieces > 5',
  'SELECT item FROM sales UNION SELECT item FROM stock',
  'WITH big AS (SELECT item, amount FROM sales WHERE amount > 50), per AS (SELECT item, sum(amount) AS total FROM big GROUP BY item) SELECT item, total FROM per WHERE total > 500',
  'SELECT n, count(*) AS times FROM (SELECT customer, count(*) AS n FROM sales GROUP BY customer) t GROUP BY n',
  'SELECT item, total FROM (SELECT item, sum(quantity) AS total FROM sales GROUP BY item) t ORDER BY total DESC, item LIMIT 2',
  'SELECT * FROM (SELECT item, id, amount, row_number() OVER (PARTITION BY item ORDER BY amount DESC NULLS LAST, id) AS rn FROM sales) t WHERE rn <= 3',
  'SELECT DISTINCT ON (item) item, id, amount FROM sales ORDER BY item, amount DESC NULLS LAST, id',
  'SELECT DISTINCT ON (customer, item) id FROM sales WHERE quantity > 0 ORDER BY item, customer, quantity, id',
  'SELECT n, count(*) AS c FROM (SELECT DISTINCT ON (item) item, quantity AS n FROM sales ORDER BY item, sold DESC) t GROUP BY n',
  'SELECT item, pieces, price FROM stock WHERE pieces > 0',
  'SELECT price * pieces AS worth, item FROM stock',
  "SELECT date_trunc('hour', sold) AS hour, count(*) AS n FROM sales GROUP BY 1",
  'SELECT id, extract(hour FROM sold)::int AS hour, extract(minute FROM sold)::int AS minute FROM sales WHERE id < 20',
  'SELECT s.id, s.item, t.pieces FROM sales s JOIN stock t ON t.item = s.item',
  'SELECT s.id, t.pieces FROM sales s LEFT JOIN stock t ON t.item = s.item AND t.pieces > 3',
  'SELECT s.id, t.item, t.pieces FROM sales s RIGHT JOIN stock t USING (item)',
  'SELECT item, s.id, t.pieces FROM (SELECT * FROM sales WHERE quantity > 4) s FULL JOIN stock t USING (item)',
  'SELECT a.id, b.id AS other FROM sales a, sales b WHERE a.customer = b.customer AND a.id < b.id AND a.item = b.item',
  'SELECT a.id, b.item FROM sales a JOIN stock b ON upper(a.item) = upper(b.item) AND a.quantity < b.pieces WHERE a.ratio > 1',
  'SELECT t.item, count(s.id) AS n, sum(s.amount) AS total FROM stock t LEFT JOIN sales s ON s.item = t.item AND s.quantity > 2 GROUP BY t.item',
  'SELECT a.item, a.n, b.n AS m FROM (SELECT item, count(*) AS n FROM sales WHERE ratio > 3 GROUP BY item) a FULL JOIN (SELECT item, count(*) AS n FROM sales WHERE quantity > 3 GROUP BY item) b ON a.item = b.item AND a.n < b.n',
  'SELECT a.customer, a.n, b.customer AS other, b.n AS m FROM (SELECT customer, count(*) AS n FROM sales GROUP BY customer) a FULL JOIN (SELECT customer, count(*) AS n FROM sales WHERE quantity > 3 GROUP BY customer) b ON a.customer = b.customer',
  'SELECT a.item, b.item AS other FROM stock a CROSS JOIN stock b WHERE a.price < b.price',
  'SELECT a.item, c.pieces, b.total FROM stock a JOIN (SELECT item, sum(amount) AS total FROM sales GROUP BY item) b ON a.item = b.item JOIN stock c ON c.price = a.price + 1',
  'WITH best AS (SELECT item, max(amount) AS most FROM sales GROUP BY item) SELECT s.id, s.item FROM sales s JOIN best b ON s.item = b.item AND s.amount = b.most',
  'SELECT item, quantity FROM sales WHERE ratio > 3 INTERSECT SELECT item, quantity FROM sales WHERE amount > 60',
  'SELECT customer FROM sales WHERE ratio > 3 EXCEPT SELECT customer FROM sales WHERE amount > 150',
  'SELECT item FROM sales EXCEPT SELECT item FROM stock WHERE pieces < 8',
  'SELECT id FROM sales WHERE item IN (SELECT item FROM stock WHERE pieces > 5) AND quantity > 3',
  'SELECT id FROM sales WHERE item NOT IN (SELECT item FROM stock WHERE pieces > 5)',
  'SELECT id FROM sales WHERE customer NOT IN (SELECT customer FROM sales WHERE quantity > 5)',
  'SELECT id FROM sales WHERE quantity NOT IN (SELECT quantity FROM sales WHERE quantity > 4 AND quantity IS NOT NULL)',
  'SELECT item, pieces FROM stock WHERE EXISTS (SELECT 1 FROM sales WHERE sales.item = stock.item AND amount > price * 40 AND quantity < pieces)',
  'SELECT item FROM stock s WHERE NOT EXISTS (SELECT * FROM sales WHERE item = s.item AND quantity > 6)',
  'SELECT id FROM sales a WHERE customer IN (SELECT customer FROM sales b WHERE b.item = a.item AND b.id < a.id AND b.quantity = 1)',
  'SELECT item, n FROM (SELECT item, count(*) AS n FROM sales GROUP BY item) t WHERE n IN (SELECT count(*) FROM sales GROUP BY item HAVING count(*) > 45)',
  'SELECT id, amount FROM sales WHERE amount > (SELECT avg(amount) * 1.5 FROM sales WHERE quantity > 2)',
  'SELECT item, pieces, (SELECT max(pieces) FROM stock) - pieces AS fewer FROM stock',
  'SELECT item FROM stock WHERE pieces = (SELECT pieces FROM stock ORDER BY pieces DESC LIMIT 1) OR price > (SELECT sum(price) / 2 FROM stock)',
  {
    ours: "SELECT window_start, item, count(*) AS n, sum(amount) AS total FROM TUMBLE(sales, sold, INTERVAL '1 hour') GROUP BY window_start, window_end, item",
    theirs:
      "SELECT date_trunc('hour', sold) AS window_start, item, count(*) AS n, sum(amount) AS total FROM sales GROUP BY 1, 2",
  },
  {
    ours: "SELECT window_start, item, count(*) AS n FROM HOP(sales, sold, INTERVAL '30 minutes', INTERVAL '90 minutes') GROUP BY window_start, window_end, item",
    theirs:
      "SELECT time_bucket(INTERVAL '30 minutes', sold) - k * INTERVAL '30 minutes' AS window_start, item, count(*) AS n FROM sales, range(0, 3) r(k) GROUP BY 1, 2",
  },
  {
    ours: "SELECT window_end, count(*) AS n, max(amount) AS most FROM CUMULATE(TABLE sales, DESCRIPTOR(sold), STEP => INTERVAL '6 hours', SIZE => INTERVAL '1 day') GROUP BY window_start, window_end",
    theirs:
      "SELECT date_trunc('day', sold) + k * INTERVAL '6 hours' AS window_end, count(*) AS n, max(amount) AS most FROM sales, range(1, 5) r(k) WHERE date_trunc('day', sold) + k * INTERVAL '6 hours' > sold GROUP BY 1",
  },
  {
    ours: "SELECT window_start, id FROM TUMBLE(sales, sold, INTERVAL '1 day', OFFSET => INTERVAL '8 hours') WHERE item = 'fig'",
    theirs:
      "SELECT date_trunc('day', sold - INTERVAL '8 hours') + INTERVAL '8 hours' AS window_start, id FROM sales WHERE item = 'fig'",
  },
  {
    ours: "SELECT customer, window_start, window_end, count(*) AS n, sum(amount) AS total, count(DISTINCT item) AS items FROM SESSION(sales, sold, INTERVAL '4 hours', customer) GROUP BY window_start, customer, window_end",
    theirs: `SELECT customer, min(sold) AS window_start, max(sold) + INTERVAL '4 hours' AS window_end, count(*) AS n, sum(amount) AS total, count(DISTINCT item) AS items
      FROM (SELECT *, sum(CASE WHEN sold - before <= INTERVAL '4 hours' THEN 0 ELSE 1 END) OVER (PARTITION BY customer ORDER BY sold) AS g
        FROM (SELECT *, lag(sold) OVER (PARTITION BY customer ORDER BY sold) AS before FROM sales)) GROUP BY customer, g`,
  },
  {
    ours: 'SELECT id, count(*) OVER w AS n, sum(amount) OVER w AS total FROM sales WINDOW w AS (PARTITION BY item ORDER BY sold ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)',
    theirs:
      'SELECT id, count(*) OVER w AS n, sum(amount) OVER w AS total FROM sales WINDOW w AS (PARTITION BY item ORDER BY sold ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)',
    waits: true,
  },
  "SELECT a.id, b.id AS other, b.quantity FROM sales a JOIN sales b ON a.item = b.item AND b.sold BETWEEN a.sold - INTERVAL '1 hour' AND a.sold + INTERVAL '3 hours' AND a.quantity < b.quantity",
  "SELECT a.id, b.id AS other FROM sales a, sales b WHERE b.sold > a.sold AND b.sold <= a.sold + INTERVAL '40 minutes'",
  ...[
    "SELECT a.id, b.id AS other FROM sales a LEFT JOIN sales b ON a.customer = b.customer AND b.sold > a.sold AND b.sold < a.sold + INTERVAL '2 hours'",
    "SELECT a.id, b.id AS other FROM (SELECT * FROM sales WHERE quantity > 3) a FULL JOIN (SELECT * FROM sales WHERE ratio > 5) b ON a.item = b.item AND b.sold BETWEEN a.sold - INTERVAL '50 minutes' AND a.sold + INTERVAL '50 minutes'",
    'SELECT id, row_number() OVER w AS n, rank() OVER w AS r, sum(quantity) OVER w AS q FROM sales WINDOW w AS (PARTITION BY item ORDER BY sold)',
    'SELECT id, lag(id) OVER w AS a, lag(quantity, 2, -1) OVER w AS b, first_value(id) OVER w AS c, last_value(quantity) OVER w AS d FROM sales WINDOW w AS (PARTITION BY customer ORDER BY sold)',
    "SELECT id, sum(amount) OVER (PARTITION BY item ORDER BY sold RANGE BETWEEN INTERVAL '3 hours' PRECEDING AND CURRENT ROW) AS s, max(ratio) OVER (PARTITION BY item ORDER BY sold ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING) AS m FROM sales",
    "SELECT id, count(*) OVER (ORDER BY sold RANGE BETWEEN INTERVAL '90 minutes' PRECEDING AND INTERVAL '1 hour' FOLLOWING) AS n FROM sales",
    'SELECT id, lead(id) OVER w AS a, lag(amount, -1, 0) OVER w AS b, min(quantity) OVER (PARTITION BY item ORDER BY sold ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING) AS c FROM sales WINDOW w AS (PARTITION BY item ORDER BY sold)',
  ].map((text) => ({ ours: text, theirs: text, waits: true }) as const),
  {
    ours: 'SELECT id, avg(ratio) OVER (v ROWS BETWEEN 4 PRECEDING AND CURRENT ROW) AS a, count(*) FILTER (WHERE quantity > 2) OVER v AS b FROM sales WINDOW u AS (PARTITION BY item), v AS (u ORDER BY sold)',
    // Windows that build on others are not the same there.
    theirs:
      'SELECT id, avg(ratio) OVER (PARTITION BY item ORDER BY sold ROWS BETWEEN 4 PRECEDING AND CURRENT ROW) AS a, count(*) FILTER (WHERE quantity > 2) OVER (PARTITION BY item ORDER BY sold) AS b FROM sales',
    waits: true,
  },
  'SELECT id, rank() OVER w AS r, dense_rank() OVER w AS d, percent_rank() OVER w AS p, cume_dist() OVER w AS c FROM sales WINDOW w AS (PARTITION BY item ORDER BY quantity)',
  'SELECT id, ntile(4) OVER (PARTITION BY item ORDER BY amount NULLS FIRST, id) AS t, row_number() OVER (ORDER BY ratio DESC NULLS LAST, id) AS n FROM sales',
  'SELECT id, amount - avg(amount) OVER (PARTITION BY item) AS more, count(*) OVER () AS all_of_them FROM sales',
  'SELECT id, sum(quantity) OVER (PARTITION BY item ORDER BY ratio RANGE BETWEEN 1 PRECEDING AND 0.5 FOLLOWING) AS s FROM sales',
  'SELECT id, count(*) OVER (ORDER BY amount DESC RANGE BETWEEN 12.5 PRECEDING AND 2 PRECEDING) AS s, min(id) OVER (ORDER BY quantity NULLS FIRST RANGE 1 PRECEDING) AS m FROM sales',
  "SELECT id, lag(item, 1, 'none') OVER w AS a, lead(id, 3) OVER w AS b, last_value(id) OVER (w ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) AS c FROM sales WINDOW w AS (PARTITION BY customer ORDER BY item, id DESC)",
  'SELECT item, pieces, sum(price) OVER (ORDER BY pieces DESC) AS sofar, lead(item) OVER (ORDER BY pieces) AS next FROM stock',
  'SELECT item, count(*) AS n, rank() OVER (ORDER BY count(*) DESC) AS place, sum(count(*)) OVER (ORDER BY item) AS running FROM sales GROUP BY item',
  'SELECT customer, item, n FROM (SELECT customer, item, count(*) AS n, rank() OVER (PARTITION BY customer ORDER BY count(*) DESC) AS r FROM sales GROUP BY customer, item) t WHERE r = 1',
  'SELECT id, r FROM (SELECT id, rank() OVER (PARTITION BY item ORDER BY quantity DESC NULLS LAST) AS r, count(*) OVER (PARTITION BY item) AS n FROM sales) t WHERE r <= 2 AND n > 40',
  'SELECT id, item FROM (SELECT id, item, dense_rank() OVER (PARTITION BY item ORDER BY quantity) AS d FROM sales WHERE quantity IS NOT NULL) t WHERE d < 3',
  'SELECT id, n FROM (SELECT id, row_number() OVER w AS n, lead(amount) OVER w AS following FROM sales WINDOW w AS (PARTITION BY item ORDER BY amount DESC NULLS LAST, id)) t WHERE n <= 3 AND following IS NOT NULL',
  {
    ours: 'SELECT id, item FROM sales ORDER BY amount DESC NULLS LAST, id LIMIT 7 OFFSET 2',
    theirs: 'SELECT id, item FROM sales ORDER BY amount DESC NULLS LAST, id LIMIT 7 OFFSET 2',
  },
]

let house: House
let instance: DuckDBInstance
let duck: DuckDBConnection
before(async () => {
  instance = await DuckDBInstance.create(':memory:')
  duck = await instance.connect()
  await duck.run("SET TimeZone = 'UTC'")
  await duck.run(
    'CREATE TABLE sales (id int, customer text, item text, quantity int, amount numeric(12,2), ratio double, sold timestamptz)',
  )
  await duck.run('CREATE TABLE stock (item text, pieces int, price numeric(12,2))')
  await duck.run(`INSERT INTO sales VALUES ${valuesOf(sales)}`)
  await duck.run(`INSERT INTO stock VALUES ${stock}`)
  house = await openHouse()
  await house.sql(`CREATE STREAM sales (id int, customer text, item text, quantity int, amount numeric(12,2), ratio double precision,
    sold timestamptz, WATERMARK FOR sold AS sold - INTERVAL '1 hour') WITH (key = 'item', partitions = 3)`)
  await house.sql('CREATE TABLE stock (item text PRIMARY KEY, pieces int, price numeric(12,2)) WITH (partitions = 2)')
  for (const [i, query] of queries.entries())
    await house.sql(`CREATE MATERIALIZED VIEW v${i} WITH (allow_unbounded_state = true) AS ${oursOf(query)}`)
  await house.sql(`INSERT INTO stock VALUES ('apple', 1, 1), ('pear', 99, 9)`)
  await house.sql(`INSERT INTO stock VALUES ${stock}`)
  for (let at = 0; at < sales.length;) {
    const count = 1 + Math.floor(random() * 40)
    await house.sql(`INSERT INTO sales VALUES ${valuesOf(sales.slice(at, at + count))}`)
    at += count
  }
})
after(async () => {
  await house[Symbol.asyncDispose]()
  duck.closeSync()
  instance.closeSync()
})
const oursOf = (query: (typeof queries)[number]): string => (typeof query === 'string' ? query : query.ours)

/** One text for each value that means the same. */
function shown(value: unknown): string {
  if (value === null || value === undefined) return 'null'
  if (typeof value === 'object') return shown(String(value))
  const text = String(value)
  if (/^-?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i.test(text)) return String(Number(Number(text).toPrecision(12)))
  const time = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d+)?)(?:Z|\+00)?$/.exec(text)
  return time === null
    ? text
    : `${time[1]} ${time[2]!.replace(/\.?0+$/, (zeros) => (zeros.startsWith('.') ? '' : zeros))}`
}
const lines = (rows: readonly (readonly unknown[])[]): string[] =>
  rows.map((row) => row.map(shown).join(' | ')).toSorted()

describe(`the same as DuckDB, seed ${seed}`, () => {
  for (const [i, query] of queries.entries()) {
    const theirs = typeof query === 'string' ? query : query.theirs
    test(oursOf(query), async () => {
      const expected = lines((await duck.runAndReadAll(theirs)).getRows())
      assert.deepEqual(lines(await house.sql(oursOf(query))), expected, 'asked once')
      let held: string[] = []
      for (let tries = 0; tries < (typeof query !== 'string' && query.waits === true ? 50 : 300); tries++) {
        held = lines(await house.sql(`SELECT * FROM v${i}`))
        if (held.length === expected.length && held.every((line, n) => line === expected[n])) return
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      // Rows that the watermark has not passed are not there yet; what is there is right.
      if (typeof query !== 'string' && query.waits === true) {
        assert.ok(held.length > expected.length - 20 && held.every((line) => expected.includes(line)), held.join('\n'))
        return
      }
      assert.deepEqual(held, expected, 'kept by a view')
    })
  }
})
