CREATE MATERIALIZED VIEW v AS SELECT item, quantity FROM purchases WHERE bought_at > now() - INTERVAL '1 day' AND quantity > 1
=>
View v: rows are added and withdrawn, with weights
  Project
       item, quantity
    -> Filter
            where quantity > 1
      -> Filter by the clock
              until bought_at + interval '1 day'
              state: the rows that are still to come or to go; in memory alone
        -> Events of purchases
                reads item text, quantity int, bought_at timestamptz
                watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT item, count(*) AS n FROM purchases WHERE bought_at BETWEEN now() - INTERVAL '1 hour' AND now() + INTERVAL '1 minute' GROUP BY item
=>
View v: newest row per key (item)
  Project
       item, count as n
    -> Aggregate by item
            count(*)
            emits whenever a result changes
            state: one entry per group, for as long as the view lives; on disk where memory has no room
      -> Filter by the clock
              until (bought_at + interval '01:00:00') + interval '00:00:00.000001'
              state: the rows that are still to come or to go; in memory alone
        -> Filter by the clock
                from bought_at - interval '00:01:00' on
                state: the rows that are still to come or to go; in memory alone
          -> Events of purchases
                  reads item text, bought_at timestamptz
                  watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE now() >= bought_at + INTERVAL '5 minutes'
=>
View v: rows are only ever added
  Project
       item
    -> Filter by the clock
            from bought_at + interval '00:05:00' on
            state: the rows that are still to come or to go; in memory alone
      -> Events of purchases
              reads item text, bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT item, max(bought_at) AS last FROM purchases GROUP BY item HAVING max(bought_at) < now() - INTERVAL '1 hour'
=>
View v: newest row per key (item)
  Project
       item, max as last
    -> Filter by the clock
            from (max + interval '01:00:00') + interval '00:00:00.000001' on
            state: the rows that are still to come or to go; in memory alone
      -> Aggregate by item
              max(bought_at)
              emits whenever a result changes
              state: one entry per group, for as long as the view lives; on disk where memory has no room
        -> Events of purchases
                reads item text, bought_at timestamptz
                watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT a.item, b.page FROM purchases a JOIN clicks b ON a.item = b.page WHERE a.bought_at > now() - INTERVAL '1 hour' AND b._timestamp > now() - INTERVAL '1 hour'
=>
View v: rows are added and withdrawn, with weights
  Project
       item, page
    -> Inner join
            on item = page
            state: the rows of both sides; on disk where memory has no room
      -> Filter by the clock
              until bought_at + interval '01:00:00'
              state: the rows that are still to come or to go; in memory alone
        -> Events of purchases
                reads item text, bought_at timestamptz
                watermark: bought_at - 5000 ms
      -> Filter by the clock
              until _timestamp + interval '01:00:00'
              state: the rows that are still to come or to go; in memory alone
        -> Events of clicks
                reads page text, _timestamp timestamptz
                watermark: record timestamp
----
CREATE MATERIALIZED VIEW v AS SELECT item, now() AS at FROM purchases
=>
View v: rows are only ever added
  Project
       item, now() as at
    -> Events of purchases
            reads item text, bought_at timestamptz
            watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT item, now() AS at FROM items
=>
ERROR 0A000: now() in this place of a view
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item, now() AS at FROM items
                                      ^
HINT: In WHERE and HAVING a time may be compared with now(), or now() plus or minus an interval: t > now() - INTERVAL '1 day'.
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE bought_at > now() - INTERVAL '1 month'
=>
ERROR 0A000: now() in this place of a view
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE bought_at > now() - INTERVAL '1 month…
                                                                       ^
HINT: In WHERE and HAVING a time may be compared with now(), or now() plus or minus an interval: t > now() - INTERVAL '1 day'.
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE bought_at > now() - INTERVAL '1 hour' OR quantity > 3
=>
ERROR 0A000: now() in this place of a view
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE bought_at > now() - INTERVAL '1 hour'…
                                                                       ^
HINT: In WHERE and HAVING a time may be compared with now(), or now() plus or minus an interval: t > now() - INTERVAL '1 day'.
----
CREATE MATERIALIZED VIEW v AS SELECT item, count(*) FILTER (WHERE bought_at > now() - INTERVAL '1 hour') AS n FROM purchases GROUP BY item
=>
ERROR 0A000: now() in this place of a view
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item, count(*) FILTER (WHERE bought_at > now() - INTERVAL '1 ho…
                                      ^
HINT: In WHERE and HAVING a time may be compared with now(), or now() plus or minus an interval: t > now() - INTERVAL '1 day'.
----
CREATE MATERIALIZED VIEW v AS SELECT window_start, count(*) AS n FROM TUMBLE(purchases, bought_at, INTERVAL '1 hour') WHERE bought_at > now() - INTERVAL '1 day' GROUP BY window_start, window_end
=>
View v: rows are added and withdrawn, with weights
  Project
       window_start, count as n
    -> Aggregate by window_start, window_end
            count(*)
            emits whenever a result changes
            state: one entry per group, for as long as the view lives; on disk where memory has no room
      -> Filter by the clock
              until bought_at + interval '1 day'
              state: the rows that are still to come or to go; in memory alone
        -> Window over bought_at: tumble 1h
          -> Events of purchases
                  reads bought_at timestamptz
                  watermark: bought_at - 5000 ms
