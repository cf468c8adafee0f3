CREATE MATERIALIZED VIEW v AS SELECT count(*), sum(amount), avg(amount), min(item), max(bought_at), stddev(amount), bool_and(amount > 0) FROM purchases
=>
View v: one row
  Project
       count, sum, avg, min, max, stddev_samp as stddev, bool_and
    -> Aggregate over all rows
            count(*), sum(amount), avg(amount), min(item), max(bought_at), stddev_samp(amount), bool_and(amount > 0.00)
            emits whenever a result changes
            state: one entry; in memory alone
      -> Events of purchases
              reads item text, amount numeric(12,2), bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT upper(item) AS u, count(DISTINCT customerid) FILTER (WHERE amount > 1) AS n FROM purchases GROUP BY upper(item) HAVING count(*) > 2
=>
View v: newest row per key (u)
  Project
       upper as u, count as n
    -> Filter
            where count > 2
      -> Aggregate by upper
              count(distinct customerId) filter (where amount > 1.00), count(*)
              emits whenever a result changes
              state: one entry per group, for as long as the view lives; on disk where memory has no room
        -> Project
                upper(item) as upper, customerId, amount
          -> Events of purchases
                  reads customerId text, item text, amount numeric(12,2), bought_at timestamptz
                  watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT item, count(*) + 1 AS more, sum(quantity) * 2.5 AS twice FROM purchases GROUP BY 1
=>
View v: newest row per key (item)
  Project
       item, count + 1 as more, sum::numeric * 2.5 as twice
    -> Aggregate by item
            count(*), sum(quantity)
            emits whenever a result changes
            state: one entry per group, for as long as the view lives; on disk where memory has no room
      -> Events of purchases
              reads item text, quantity int, bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT item AS thing, count(*) FROM purchases GROUP BY thing
=>
View v: newest row per key (thing)
  Aggregate by item
       count(*)
       emits whenever a result changes
       state: one entry per group, for as long as the view lives; on disk where memory has no room
    -> Events of purchases
            reads item text, bought_at timestamptz
            watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT item, total FROM (SELECT item, sum(amount) AS total FROM purchases GROUP BY item) t WHERE item = 'a' AND total > 5
=>
View v: newest row per key (item)
  Project
       item, sum as total
    -> Filter
            where sum > 5.00
      -> Aggregate by item
              sum(amount)
              emits whenever a result changes
              state: one entry per group, for as long as the view lives; on disk where memory has no room
        -> Filter
                where item = 'a'
          -> Events of purchases
                  reads item text, amount numeric(12,2), bought_at timestamptz
                  watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT window_start, item, sum(amount) FROM TUMBLE(purchases, bought_at, INTERVAL '1 minute') GROUP BY window_start, window_end, item
=>
View v: newest row per key (window_start, item)
  Project
       window_start, item, sum
    -> Aggregate by window_start, window_end, item
            sum(amount)
            emits whenever a result changes
            state: one entry per group and window; on disk where memory has no room
      -> Window over bought_at: tumble 1m
        -> Events of purchases
                reads item text, amount numeric(12,2), bought_at timestamptz
                watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT window_start, item, sum(amount) FROM TUMBLE(purchases, bought_at, INTERVAL '1 minute') GROUP BY window_start, window_end, item EMIT ON WINDOW CLOSE
=>
View v: rows are only ever added, one per key (window_start, item)
  Project
       window_start, item, sum
    -> Aggregate by window_start, window_end, item
            sum(amount)
            emits once, when the watermark has passed the window
            state: one entry per group of the windows still open; on disk where memory has no room
      -> Window over bought_at: tumble 1m
        -> Events of purchases
                reads item text, amount numeric(12,2), bought_at timestamptz
                watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT window_end, count(*) FROM TABLE(TUMBLE(TABLE purchases, DESCRIPTOR(bought_at), INTERVAL '1' HOUR)) GROUP BY window_end EMIT ON WINDOW CLOSE
=>
View v: rows are only ever added, one per key (window_end)
  Project
       window_end, count
    -> Aggregate by window_end, window_start
            count(*)
            emits once, when the watermark has passed the window
            state: one entry per group of the windows still open; on disk where memory has no room
      -> Window over bought_at: tumble 1h
        -> Events of purchases
                reads bought_at timestamptz
                watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT window_start, count(*) FROM TUMBLE(clicks, _timestamp, INTERVAL '10 seconds') GROUP BY window_start
=>
View v: newest row per key (window_start)
  Project
       window_start, count
    -> Aggregate by window_start, window_end
            count(*)
            emits whenever a result changes
            state: one entry per group and window; on disk where memory has no room
      -> Window over _timestamp: tumble 10s
        -> Events of clicks
                reads _timestamp timestamptz
                watermark: record timestamp
----
CREATE MATERIALIZED VIEW v AS SELECT day.window_start, max(total) FROM TUMBLE(minutes, window_end, INTERVAL '1 day') AS day GROUP BY day.window_start EMIT ON WINDOW CLOSE
=>
View v: rows are only ever added, one per key (window_start)
  Project
       window_start, max
    -> Aggregate by window_start, window_end
            max(total)
            emits once, when the watermark has passed the window
            state: one entry per group of the windows still open; on disk where memory has no room
      -> Window over window_end: tumble 1d
        -> Events of minutes
                reads window_end timestamptz, total numeric
                watermark: window_end - 1 ms
----
CREATE MATERIALIZED VIEW v AS SELECT w.item FROM TUMBLE(purchases, bought_at, INTERVAL '1 minute') w WHERE w.amount > 5
=>
View v: rows are only ever added
  Project
       item
    -> Window over bought_at: tumble 1m
      -> Filter
              where amount > 5.00
        -> Events of purchases
                reads item text, amount numeric(12,2), bought_at timestamptz
                watermark: bought_at - 5000 ms
