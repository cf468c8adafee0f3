CREATE MATERIALIZED VIEW v AS SELECT customerid, amount * quantity AS value FROM purchases WHERE amount > 10
=>
View v: rows are only ever added
  Project
       customerId, amount * quantity::numeric as value
    -> Filter
            where amount > 10.00
      -> Events of purchases
              reads customerId text, quantity int, amount numeric(12,2), bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT * FROM clicks
=>
View v: rows are only ever added
  Events of clicks
       reads page text, user text, ms double precision
       watermark: record timestamp
----
CREATE MATERIALIZED VIEW v (a, b) AS SELECT page, count(*) FROM clicks GROUP BY page
=>
View v: newest row per key (a)
  Project
       page as a, count as b
    -> Aggregate by page
            count(*)
            emits whenever a result changes
            state: one entry per group, for as long as the view lives; on disk where memory has no room
      -> Events of clicks
              reads page text
              watermark: record timestamp
----
CREATE MATERIALIZED VIEW v AS SELECT _topic, _partition, _offset, _timestamp, _key, _headers AS headers FROM clicks
=>
ERROR 42P16: a view's column cannot be named "_topic"
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT _topic, _partition, _offset, _timestamp, _key, _headers AS head…
                                      ^
HINT: Give it another name with AS.
----
CREATE MATERIALIZED VIEW v AS SELECT item, stock FROM items WHERE stock < 5
=>
View v: newest row per key (item)
  Filter
       where stock < 5
    -> Newest rows per item of items
            reads item text, stock int
            watermark: record timestamp
            state: one row per key; on disk where memory has no room
----
CREATE MATERIALIZED VIEW v AS SELECT stock FROM items
=>
View v: rows are added and withdrawn, with weights
  Project
       stock
    -> Newest rows per item of items
            reads item text, stock int
            watermark: record timestamp
            state: one row per key; on disk where memory has no room
----
CREATE MATERIALIZED VIEW v AS SELECT item, price FROM items UNION ALL SELECT item, amount FROM purchases
=>
View v: rows are added and withdrawn, with weights
  Union all
    -> Newest rows per item of items
            reads item text, price numeric(12,2)
            watermark: record timestamp
            state: one row per key; on disk where memory has no room
    -> Project
            item, amount
      -> Events of purchases
              reads item text, amount numeric(12,2), bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT page FROM clicks UNION SELECT item FROM items
=>
View v: newest row per key (page)
  Aggregate by page
       emits whenever a result changes
       state: one entry per group, for as long as the view lives; on disk where memory has no room
    -> Union all
      -> Events of clicks
              reads page text
              watermark: record timestamp
      -> Newest rows per item of items
              reads item text
              watermark: record timestamp
              state: one row per key; on disk where memory has no room
----
CREATE MATERIALIZED VIEW v AS WITH big AS (SELECT item, amount FROM purchases WHERE amount > 100), named (thing) AS (SELECT item FROM big) SELECT thing, count(*) FROM named GROUP BY thing
=>
View v: newest row per key (thing)
  Aggregate by item
       count(*)
       emits whenever a result changes
       state: one entry per group, for as long as the view lives; on disk where memory has no room
    -> Project
            item
      -> Filter
              where amount > 100.00
        -> Events of purchases
                reads item text, amount numeric(12,2), bought_at timestamptz
                watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT t.item, t.total / t.n AS mean FROM totals t WHERE t.n > 3
=>
View v: newest row per key (item)
  Project
       item, total / n::numeric as mean
    -> Filter
            where n > 3
      -> Newest rows per item of totals
              reads item text, n bigint, total numeric
              watermark: record timestamp
              state: one row per key; on disk where memory has no room
----
CREATE MATERIALIZED VIEW v AS SELECT note ->> 'shop' AS shop, (note -> 'tags') @> '["x"]' AS tagged FROM purchases
=>
View v: rows are only ever added
  Project
       note ->> 'shop' as shop, (note -> 'tags') @> jsonb '["x"]' as tagged
    -> Events of purchases
            reads bought_at timestamptz, note jsonb
            watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v WITH (late_topic = 'late', idle = '1m', max_future = '2h', on_error = 'skip') AS SELECT page FROM clicks
=>
View v: rows are only ever added
  Events of clicks
       reads page text
       watermark: record timestamp
----
CREATE MATERIALIZED VIEW v AS SELECT DISTINCT item FROM purchases
=>
View v: newest row per key (item)
  Aggregate by item
       emits whenever a result changes
       state: one entry per group, for as long as the view lives; on disk where memory has no room
    -> Project
            item
      -> Events of purchases
              reads item text, bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT item, total FROM totals ORDER BY total DESC LIMIT 3
=>
View v: newest row per key (item)
  First 3
       by total desc
       state: the first rows of each partition, and all of its rows where the input may withdraw some; on disk where memory has no room
    -> Newest rows per item of totals
            reads item text, total numeric
            watermark: record timestamp
            state: one row per key; on disk where memory has no room
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM totals ORDER BY total DESC, n LIMIT 2 OFFSET 1
=>
View v: newest row per key (item)
  Project
       item
    -> Filter
            where row_number > 1
      -> First 3, numbered
              by _1 desc, _2
              state: the first rows of each partition, and all of its rows where the input may withdraw some; on disk where memory has no room
        -> Project
                item, total as _1, n as _2
          -> Newest rows per item of totals
                  reads item text, n bigint, total numeric
                  watermark: record timestamp
                  state: one row per key; on disk where memory has no room
----
CREATE MATERIALIZED VIEW v AS SELECT CASE WHEN amount > 100 THEN 'big' WHEN amount IS NULL THEN 'none' ELSE 'small' END AS size, coalesce(quantity, 0) AS quantity FROM purchases
=>
View v: rows are only ever added
  Project
       case when amount > 100.00 then 'big' when amount is null then 'none' else 'small' end as size, case when not quantity is null then quantity else 0 end as quantity
    -> Events of purchases
            reads quantity int, amount numeric(12,2), bought_at timestamptz
            watermark: bought_at - 5000 ms
