CREATE MATERIALIZED VIEW v AS SELECT p.customerid, p.amount, i.price FROM purchases p JOIN items FOR SYSTEM_TIME AS OF p.bought_at AS i ON i.item = p.item AND i.stock > 0 WHERE p.amount > 5
=>
View v: rows are only ever added
  Project
       customerId, amount, price
    -> Temporal join as of bought_at
            on item = item
            where stock > 0
            state: one row per key of the table and its versions since the watermark; rows that wait for the watermark; in memory alone
      -> Filter
              where amount > 5.00
        -> Events of purchases
                reads customerId text, item text, amount numeric(12,2), bought_at timestamptz
                watermark: bought_at - 5000 ms
      -> Newest rows per item of items
              reads item text, stock int, price numeric(12,2)
              watermark: record timestamp
              state: one row per key; on disk where memory has no room
----
CREATE MATERIALIZED VIEW v AS SELECT p.item, s.quantity FROM purchases p LEFT JOIN stock AS s FOR SYSTEM_TIME AS OF p.bought_at ON p.item = s.item AND s.warehouse = 'main'
=>
View v: rows are only ever added
  Project
       item, quantity
    -> Temporal left join as of bought_at
            on 'main' = warehouse and item = item
            state: one row per key of the table and its versions since the watermark; rows that wait for the watermark; in memory alone
      -> Events of purchases
              reads item text, bought_at timestamptz
              watermark: bought_at - 5000 ms
      -> Newest rows per warehouse, item of stock
              reads warehouse text, item text, quantity bigint
              watermark: record timestamp
              state: one row per key; on disk where memory has no room
----
CREATE MATERIALIZED VIEW v AS SELECT item, price FROM purchases JOIN items FOR SYSTEM_TIME AS OF bought_at USING (item)
=>
View v: rows are only ever added
  Project
       item, price
    -> Temporal join as of bought_at
            on item = item
            state: one row per key of the table and its versions since the watermark; rows that wait for the watermark; in memory alone
      -> Events of purchases
              reads item text, bought_at timestamptz
              watermark: bought_at - 5000 ms
      -> Newest rows per item of items
              reads item text, price numeric(12,2)
              watermark: record timestamp
              state: one row per key; on disk where memory has no room
----
CREATE MATERIALIZED VIEW v AS SELECT p.item FROM purchases p JOIN stock FOR SYSTEM_TIME AS OF p.bought_at AS s ON p.item = s.item
=>
ERROR 0A000: the join must say what the key column "warehouse" of the table equals
LINE 1: …ses p JOIN stock FOR SYSTEM_TIME AS OF p.bought_at AS s ON p.item = s.item
                                                                    ^
HINT: Add ON … = warehouse, for every column of the table's key.
----
CREATE MATERIALIZED VIEW v AS SELECT p.item FROM purchases p JOIN clicks c ON p.item = c.page
=>
ERROR 54000: a join of streams keeps all of them for ever
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT p.item FROM purchases p JOIN clicks c ON p.item = c.page
                                                                          ^
HINT: Say how far apart they are (a.t BETWEEN b.t - INTERVAL '5 minutes' AND b.t + INTERVAL '5 minutes', of both event times); or join the windows of both (… AND a.window_end = b.window_end); or a stream with the version of a table at its event time: JOIN t FOR SYSTEM_TIME AS OF s.event_time ON t.key = s.key; or let rows go after a while: WITH (state_ttl = '1d'); or accept it: WITH (allow_unbounded_state).
----
CREATE MATERIALIZED VIEW v AS SELECT p.item FROM purchases p, clicks c
=>
ERROR 54000: a join of streams keeps all of them for ever
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT p.item FROM purchases p, clicks c
                                                                      ^
HINT: Say how far apart they are (a.t BETWEEN b.t - INTERVAL '5 minutes' AND b.t + INTERVAL '5 minutes', of both event times); or join the windows of both (… AND a.window_end = b.window_end); or a stream with the version of a table at its event time: JOIN t FOR SYSTEM_TIME AS OF s.event_time ON t.key = s.key; or let rows go after a while: WITH (state_ttl = '1d'); or accept it: WITH (allow_unbounded_state).
----
CREATE MATERIALIZED VIEW v AS SELECT p.item FROM purchases p JOIN items FOR SYSTEM_TIME AS OF now() AS i ON p.item = i.item
=>
ERROR 42P20: this is not the event-time column
LINE 1: …T p.item FROM purchases p JOIN items FOR SYSTEM_TIME AS OF now() AS i ON p.item = i.item
                                                                    ^
HINT: Event time is bought_at: the column with the WATERMARK, else _timestamp.
----
CREATE MATERIALIZED VIEW v AS SELECT p.item FROM items i JOIN items FOR SYSTEM_TIME AS OF i.stock AS p ON p.item = i.item
=>
ERROR 0A000: the left side of a temporal join must only ever gain rows
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT p.item FROM items i JOIN items FOR SYSTEM_TIME AS OF i.stock AS…
                                                         ^
HINT: Put the stream on the left and the table on the right.
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases p JOIN items FOR SYSTEM_TIME AS OF p.bought_at AS i ON p.item = i.item
=>
ERROR 42702: column reference "item" is ambiguous
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases p JOIN items FOR SYSTEM_TIME AS OF p.bought…
                                             ^
HINT: Write it with its table: table.column.
----
CREATE MATERIALIZED VIEW v AS SELECT 1 FROM purchases p RIGHT JOIN items FOR SYSTEM_TIME AS OF p.bought_at AS i ON p.item = i.item
=>
ERROR 0A000: a RIGHT JOIN with FOR SYSTEM_TIME AS OF has no meaning
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT 1 FROM purchases p RIGHT JOIN items FOR SYSTEM_TIME AS OF p.bou…
                                                                           ^
HINT: Use JOIN or LEFT JOIN.
----
CREATE MATERIALIZED VIEW v AS SELECT a.customerid, a.n, b.n AS m
FROM (SELECT customerid, window_end, count(*) AS n FROM TUMBLE(purchases, bought_at, INTERVAL '1 minute') GROUP BY customerid, window_start, window_end) a
JOIN (SELECT customerid, window_end, count(*) AS n FROM TUMBLE(purchases, bought_at, INTERVAL '1 minute') GROUP BY customerid, window_start, window_end) b
  ON a.customerid = b.customerid AND a.window_end = b.window_end AND a.n < b.n
=>
View v: rows are added and withdrawn, with weights
  Project
       customerId, n, n as m
    -> Inner join
            on customerId = customerId and window_end = window_end
            where n < n
            state: the rows of both sides, until their window closes; on disk where memory has no room
      -> Project
              customerId, window_end, count as n
        -> Aggregate by customerId, window_start, window_end
                count(*)
                emits whenever a result changes
                state: one entry per group and window; on disk where memory has no room
          -> Window over bought_at: tumble 1m
            -> Events of purchases
                    reads customerId text, bought_at timestamptz
                    watermark: bought_at - 5000 ms
      -> Project
              customerId, window_end, count as n
        -> Aggregate by customerId, window_start, window_end
                count(*)
                emits whenever a result changes
                state: one entry per group and window; on disk where memory has no room
          -> Window over bought_at: tumble 1m
            -> Events of purchases
                    reads customerId text, bought_at timestamptz
                    watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v WITH (allow_unbounded_state = true) AS SELECT p.item, c.page FROM purchases p, clicks c WHERE lower(p.item) = c.page AND p.quantity > 2
=>
View v: rows are only ever added
  Project
       item, page
    -> Inner join
            on key_1 = page
            state: the rows of both sides; on disk where memory has no room
      -> Project
              item, lower(item) as key_1
        -> Filter
                where quantity > 2
          -> Events of purchases
                  reads item text, quantity int, bought_at timestamptz
                  watermark: bought_at - 5000 ms
      -> Events of clicks
              reads page text
              watermark: record timestamp
----
CREATE MATERIALIZED VIEW v AS SELECT a.item, b.stock FROM items a LEFT JOIN items b ON a.item = b.item AND a.stock > 3 AND b.stock > 4 WHERE a.price > 1 AND b.price IS NULL
=>
View v: newest row per key (item)
  Project
       item, stock
    -> Filter
            where price is null
      -> Left join
              on item = item
              where stock > 3
              state: the rows of both sides; on disk where memory has no room
        -> Filter
                where price > 1.00
          -> Newest rows per item of items
                  reads item text, stock int, price numeric(12,2)
                  watermark: record timestamp
                  state: one row per key; on disk where memory has no room
        -> Filter
                where stock > 4
          -> Newest rows per item of items
                  reads item text, stock int, price numeric(12,2)
                  watermark: record timestamp
                  state: one row per key; on disk where memory has no room
----
CREATE MATERIALIZED VIEW v AS SELECT item, p.stock FROM items i FULL JOIN items p USING (item)
=>
View v: rows are added and withdrawn, with weights
  Project
       case when not item is null then item else item end as item, stock
    -> Full join
            on item = item
            state: the rows of both sides; on disk where memory has no room
      -> Newest rows per item of items
              reads item text
              watermark: record timestamp
              state: one row per key; on disk where memory has no room
      -> Newest rows per item of items
              reads item text, stock int
              watermark: record timestamp
              state: one row per key; on disk where memory has no room
----
CREATE MATERIALIZED VIEW v AS WITH last AS (SELECT item, quantity FROM (SELECT *, row_number() OVER (PARTITION BY item ORDER BY bought_at DESC) AS n FROM purchases WHERE quantity > 0) AS ranked WHERE n = 1) SELECT p.item, last.quantity FROM purchases p LEFT JOIN last FOR SYSTEM_TIME AS OF p.bought_at ON last.item = p.item
=>
View v: rows are only ever added
  Project
       item, quantity
    -> Temporal left join as of bought_at
            on item = item
            state: one row per key of the table and its versions since the watermark; rows that wait for the watermark; in memory alone
      -> Events of purchases
              reads item text, bought_at timestamptz
              watermark: bought_at - 5000 ms
      -> Project
              item, quantity
        -> Filter
                where quantity > 0
          -> Events of purchases
                  reads item text, quantity int, bought_at timestamptz
                  watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS WITH last AS (SELECT DISTINCT ON (item) item, quantity FROM purchases ORDER BY item, quantity DESC) SELECT p.item, last.quantity FROM purchases p JOIN last FOR SYSTEM_TIME AS OF p.bought_at ON last.item = p.item
=>
ERROR 0A000: the right side of a temporal join is a table, or a view with a key
LINE 1: …y DESC) SELECT p.item, last.quantity FROM purchases p JOIN last FOR SYSTEM_TIME AS OF p.bought_at ON…
                                                                    ^
HINT: CREATE TABLE … (… PRIMARY KEY) declares one; of the rows of a stream CREATE VIEW v AS SELECT DISTINCT ON (k) … FROM s ORDER BY k, time DESC.
