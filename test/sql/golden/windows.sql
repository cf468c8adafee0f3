CREATE MATERIALIZED VIEW v AS SELECT item, window_start, window_end, count(*) AS n FROM SESSION(purchases, bought_at, INTERVAL '10 minutes', item) GROUP BY item, window_start, window_end EMIT ON WINDOW CLOSE
=>
View v: rows are only ever added, one per key (item, window_start, window_end)
  Project
       item, window_start, window_end, count as n
    -> Sessions by item over bought_at, gap 10m
            count(*)
            emits once, when the watermark has passed the session
            state: the open sessions and their rows; on disk where memory has no room
      -> Events of purchases
              reads item text, bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT sum(quantity) AS q, window_end, item FROM SESSION(TABLE purchases PARTITION BY item, customerid, DESCRIPTOR(bought_at), INTERVAL '10 minutes') WHERE item <> 'x' GROUP BY window_start, window_end, customerid, item
=>
View v: rows are added and withdrawn, with weights
  Project
       sum as q, window_end, item
    -> Sessions by customerId, item over bought_at, gap 10m
            sum(quantity)
            emits whenever a session changes
            state: the open sessions and their rows; on disk where memory has no room
      -> Filter
              where item <> 'x'
        -> Events of purchases
                reads customerId text, item text, quantity int, bought_at timestamptz
                watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT item, count(*) AS n FROM SESSION(purchases, bought_at, INTERVAL '10 minutes', item) GROUP BY item
=>
ERROR 42P20: sessions are grouped by window_start, window_end and the columns that SESSION names, no others
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item, count(*) AS n FROM SESSION(purchases, bought_at, INTERVAL…
                                                                      ^
HINT: SESSION(stream, time, gap, k) GROUP BY k, window_start, window_end. Group its result once more if needed.
----
CREATE MATERIALIZED VIEW v AS SELECT * FROM SESSION(purchases, bought_at, INTERVAL '10 minutes', item)
=>
ERROR 42P20: the rows of a session are there only together
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT * FROM SESSION(purchases, bought_at, INTERVAL '10 minutes', ite…
                                                    ^
HINT: SELECT k, window_start, window_end, count(*) FROM SESSION(stream, time, INTERVAL '10 minutes', k) GROUP BY k, window_start, window_end
----
CREATE MATERIALIZED VIEW v AS SELECT item, count(*) AS n FROM SESSION(purchases, bought_at, INTERVAL '10 minutes', item) WHERE quantity > 1 GROUP BY item, window_start, window_end
=>
ERROR 0A000: WHERE behind SESSION leaves whole keys out only
LINE 1: …N(purchases, bought_at, INTERVAL '10 minutes', item) WHERE quantity > 1 GROUP BY item, window_start,…
                                                                    ^
HINT: Filter before: WITH t AS (SELECT … WHERE …) … FROM SESSION(t, …); or use HAVING.
----
CREATE MATERIALIZED VIEW v AS SELECT window_start, count(*) AS n FROM CUMULATE(purchases, bought_at, INTERVAL '1 minute', INTERVAL '1 hour') GROUP BY window_start
=>
ERROR 42P20: windows of one start have several ends
LINE 1: …ought_at, INTERVAL '1 minute', INTERVAL '1 hour') GROUP BY window_start
                                                                    ^
HINT: GROUP BY window_start, window_end.
----
CREATE MATERIALIZED VIEW v AS SELECT window_end, count(*) AS n FROM CUMULATE(purchases, bought_at, INTERVAL '1 minute', INTERVAL '1 hour', INTERVAL '5 minutes') GROUP BY window_end
=>
View v: newest row per key (window_end)
  Project
       window_end, count as n
    -> Aggregate by window_end
            count(*)
            emits whenever a result changes
            state: one entry per group and window; on disk where memory has no room
      -> Window over bought_at: cumulate 1h every 1m from 5m
        -> Events of purchases
                reads bought_at timestamptz
                watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT item, window_end, count(*) AS n FROM HOP(purchases, bought_at, INTERVAL '5 seconds', INTERVAL '1 minute') GROUP BY item, window_start, window_end EMIT ON WINDOW CLOSE
=>
View v: rows are only ever added, one per key (item, window_end)
  Project
       item, window_end, count as n
    -> Aggregate by item, window_start, window_end
            count(*)
            emits once, when the watermark has passed the window
            state: one entry per group of the windows still open; on disk where memory has no room
            counted in slices of 5s, added up by window
      -> Window over bought_at: hop 1m every 5s
        -> Events of purchases
                reads item text, bought_at timestamptz
                watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT * FROM HOP(purchases, bought_at, INTERVAL '7 seconds', INTERVAL '1 minute')
=>
ERROR 22023: the size of a window must be a multiple of its slide
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT * FROM HOP(purchases, bought_at, INTERVAL '7 seconds', INTERVAL…
                                                                              ^
HINT: With this slide a size of 63s is.
----
CREATE MATERIALIZED VIEW v AS SELECT * FROM HOP(purchases, bought_at, INTERVAL '1 millisecond', INTERVAL '1 day')
=>
ERROR 22023: a row may lie in 10000 windows, not in more
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT * FROM HOP(purchases, bought_at, INTERVAL '1 millisecond', INTE…
                                                                              ^
HINT: Take a longer slide or a shorter size.
----
CREATE MATERIALIZED VIEW v AS SELECT * FROM HOP(purchases, bought_at, INTERVAL '1 minute')
=>
ERROR 42601: HOP takes a stream, its time column, a slide and a size
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT * FROM HOP(purchases, bought_at, INTERVAL '1 minute')
                                                    ^
HINT: For example HOP(purchases, bought_at, INTERVAL '10 seconds', INTERVAL '1 minute').
----
CREATE MATERIALIZED VIEW v AS SELECT * FROM TUMBLE(TABLE purchases PARTITION BY item, DESCRIPTOR(bought_at), INTERVAL '1 minute')
=>
ERROR 42601: TUMBLE is the same for all rows: it takes no PARTITION BY
LINE 1: …IEW v AS SELECT * FROM TUMBLE(TABLE purchases PARTITION BY item, DESCRIPTOR(bought_at), INTERVAL '1 …
                                                                    ^
HINT: Read what was expected at the marked place; docs/sql.md has the grammar.
----
CREATE MATERIALIZED VIEW v AS SELECT * FROM SESSION(totals, bought_at, INTERVAL '1 minute')
=>
ERROR 0A000: SESSION takes rows that are only ever added
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT * FROM SESSION(totals, bought_at, INTERVAL '1 minute')
                                                            ^
HINT: docs/sql.md lists what works today.
----
CREATE MATERIALIZED VIEW v AS WITH seconds AS (SELECT window_time AS moment, item, count(*) AS n FROM TUMBLE(TABLE purchases, DESCRIPTOR(bought_at), INTERVAL '10' SECOND) GROUP BY window_start, window_end, window_time, item) SELECT window_start, item, sum(n) AS n, window_time FROM TUMBLE(TABLE seconds, DESCRIPTOR(moment), INTERVAL '1' MINUTE) GROUP BY window_start, window_end, window_time, item EMIT ON WINDOW CLOSE
=>
View v: rows are only ever added, one per key (window_start, item)
  Project
       window_start, item, sum as n, window_end - interval '00:00:00.001' as window_time
    -> Aggregate by window_start, window_end, item
            sum(n)
            emits once, when the watermark has passed the window
            state: one entry per group of the windows still open; on disk where memory has no room
      -> Window over moment: tumble 1m
        -> Project
                window_end - interval '00:00:00.001' as moment, item, count as n
          -> Aggregate by window_start, window_end, item
                  count(*)
                  emits once, when the watermark has passed the window
                  state: one entry per group of the windows still open; on disk where memory has no room
            -> Window over bought_at: tumble 10s
              -> Events of purchases
                      reads item text, bought_at timestamptz
                      watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT window_start, sum(n) AS n FROM TUMBLE((SELECT window_time, count(*) AS n FROM SESSION(purchases, bought_at, INTERVAL '10 minutes', item) GROUP BY item, window_time, window_start), window_time, INTERVAL '1 hour') GROUP BY window_start EMIT ON WINDOW CLOSE
=>
View v: rows are only ever added, one per key (window_start)
  Project
       window_start, sum as n
    -> Aggregate by window_start, window_end
            sum(n)
            emits once, when the watermark has passed the window
            state: one entry per group of the windows still open; on disk where memory has no room
      -> Window over window_time: tumble 1h
        -> Project
                window_end - interval '00:00:00.001' as window_time, count as n
          -> Sessions by item over bought_at, gap 10m
                  count(*)
                  emits once, when the watermark has passed the session
                  state: the open sessions and their rows; on disk where memory has no room
            -> Events of purchases
                    reads item text, bought_at timestamptz
                    watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT item, window_time, row_number() OVER (PARTITION BY item ORDER BY window_time) AS n FROM (SELECT item, window_time FROM HOP(TABLE purchases, DESCRIPTOR(bought_at), INTERVAL '5 seconds', INTERVAL '1 minute') GROUP BY item, window_start, window_end) AS w EMIT ON WINDOW CLOSE
=>
View v: rows are only ever added, one per key (item, n)
  Project
       item, window_time, row_number as n
    -> Over each item, in order of window_time
            row_number()
            gives a row once, when the watermark has passed it
            state: one entry per partition; rows that wait for the watermark; some of it on disk where memory has no room
      -> Project
              item, window_end - interval '00:00:00.001' as window_time
        -> Aggregate by item, window_start, window_end
                emits once, when the watermark has passed the window
                state: one entry per group of the windows still open; on disk where memory has no room
                counted in slices of 5s, added up by window
          -> Window over bought_at: hop 1m every 5s
            -> Events of purchases
                    reads item text, bought_at timestamptz
                    watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT * FROM TUMBLE(SELECT 1, bought_at, INTERVAL '1 minute')
=>
ERROR 42601: syntax error at or near "SELECT", expected an expression
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT * FROM TUMBLE(SELECT 1, bought_at, INTERVAL '1 minute')
                                                           ^
HINT: Read what was expected at the marked place; docs/sql.md has the grammar.
EXPECTED: an expression
----
CREATE MATERIALIZED VIEW v AS SELECT * FROM TUMBLE(1 + 1, bought_at, INTERVAL '1 minute')
=>
ERROR 42601: the first argument of TUMBLE is a stream, a view or a query in parentheses
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT * FROM TUMBLE(1 + 1, bought_at, INTERVAL '1 minute')
                                                           ^
HINT: Read what was expected at the marked place; docs/sql.md has the grammar.
