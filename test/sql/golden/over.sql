CREATE MATERIALIZED VIEW v AS SELECT customerid, amount, avg(amount) OVER w AS mean, stddev_samp(amount) OVER w AS sd, count(*) OVER w AS n FROM purchases WINDOW w AS (PARTITION BY customerid ORDER BY bought_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
=>
View v: rows are only ever added
  Project
       customerId, amount, avg as mean, stddev_samp as sd, count as n
    -> Running aggregates by customerId in order of bought_at
            avg(amount) up to the row before, stddev_samp(amount) up to the row before, count(*) up to the row before
            state: one entry per partition; rows that wait for the watermark
      -> Events of purchases
              reads customerId text, amount numeric(12,2), bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT item, sum(amount) OVER (PARTITION BY item ORDER BY bought_at ROWS UNBOUNDED PRECEDING) FROM purchases
=>
View v: rows are only ever added
  Project
       item, sum
    -> Running aggregates by item in order of bought_at
            sum(amount) up to the current row
            state: one entry per partition; rows that wait for the watermark
      -> Events of purchases
              reads item text, amount numeric(12,2), bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT count(*) OVER (PARTITION BY date_trunc('day', bought_at), customerid ORDER BY bought_at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS nth FROM purchases
=>
View v: rows are only ever added
  Project
       count as nth
    -> Running aggregates by _0, customerId in order of bought_at
            count(*) up to the current row
            state: one entry per partition; rows that wait for the watermark
      -> Project
              customerId, bought_at, date_trunc('day', bought_at) as _0
        -> Events of purchases
                reads customerId text, bought_at timestamptz
                watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT * FROM (SELECT item, customerid, amount, row_number() OVER (PARTITION BY item ORDER BY amount DESC) AS rn FROM purchases) t WHERE rn <= 3
=>
View v: newest row per key (item, rn)
  Project
       item, customerId, amount, row_number as rn
    -> First 3 of each item, numbered
            by amount desc
            state: the first rows of each partition, and all of its rows where the input may withdraw some
      -> Events of purchases
              reads customerId text, item text, amount numeric(12,2), bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT item, amount FROM (SELECT item, amount, row_number() OVER (PARTITION BY item ORDER BY bought_at DESC) AS rn FROM purchases) t WHERE rn = 1 AND amount > 2
=>
View v: newest row per key (item)
  Project
       item, amount
    -> Filter
            where amount > 2.00
      -> First 1 of each item
              by bought_at desc
              state: the first rows of each partition, and all of its rows where the input may withdraw some
        -> Events of purchases
                reads item text, amount numeric(12,2), bought_at timestamptz
                watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM (SELECT item, row_number() OVER (ORDER BY total DESC NULLS LAST) AS rn FROM totals) t WHERE 10 > rn
=>
View v: newest row per key (item)
  Project
       item
    -> First 9
            by total desc nulls last
            state: the first rows of each partition, and all of its rows where the input may withdraw some
      -> Newest rows per item of totals
              reads item text, total numeric
              watermark: record timestamp
----
CREATE MATERIALIZED VIEW v AS SELECT item, row_number() OVER (PARTITION BY item ORDER BY amount) FROM purchases
=>
ERROR 54000: row_number() without a limit keeps every row
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item, row_number() OVER (PARTITION BY item ORDER BY amount) FRO…
                                                   ^
HINT: Put it in a derived table and keep the first few: SELECT … FROM (SELECT …, row_number() OVER (…) AS n FROM …) WHERE n <= 3.
----
CREATE MATERIALIZED VIEW v AS SELECT sum(amount) OVER (PARTITION BY item ORDER BY amount ROWS UNBOUNDED PRECEDING) FROM purchases
=>
ERROR 42P20: this is not the event-time column
LINE 1: …W v AS SELECT sum(amount) OVER (PARTITION BY item ORDER BY amount ROWS UNBOUNDED PRECEDING) FROM pur…
                                                                    ^
HINT: Event time is bought_at: the column with the WATERMARK, else _timestamp.
----
CREATE MATERIALIZED VIEW v AS SELECT sum(amount) OVER (PARTITION BY item ORDER BY bought_at) FROM purchases
=>
ERROR 0A000: without a frame, rows of the same time would count together (RANGE); this is not supported yet
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT sum(amount) OVER (PARTITION BY item ORDER BY bought_at) FROM pu…
                                             ^
HINT: Write ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW, or … AND 1 PRECEDING.
----
CREATE MATERIALIZED VIEW v AS SELECT rank() OVER (ORDER BY bought_at ROWS UNBOUNDED PRECEDING) FROM purchases
=>
ERROR 0A000: rank OVER (…) is not supported yet
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT rank() OVER (ORDER BY bought_at ROWS UNBOUNDED PRECEDING) FROM …
                                             ^
HINT: Aggregates and row_number() are.
----
CREATE MATERIALIZED VIEW v AS SELECT item, sum(count(*)) OVER (ORDER BY item) FROM purchases GROUP BY item
=>
ERROR 0A000: without a frame, rows of the same time would count together (RANGE); this is not supported yet
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item, sum(count(*)) OVER (ORDER BY item) FROM purchases GROUP B…
                                                   ^
HINT: Write ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW, or … AND 1 PRECEDING.
