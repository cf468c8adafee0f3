CREATE MATERIALIZED VIEW v AS SELECT p.item, q.item AS other FROM purchases p JOIN purchases q ON p.customerid = q.customerid AND q.bought_at BETWEEN p.bought_at - INTERVAL '5 minutes' AND p.bought_at + INTERVAL '1 hour'
=>
View v: rows are only ever added
  Project
       item, item as other
    -> Inner join
            on customerId = customerId
            bought_at from -5m to +1h of bought_at
            gives a pair once, and a row without partner when none can come any more
            state: the rows of both sides, for 65m; in memory alone
      -> Events of purchases
              reads customerId text, item text, bought_at timestamptz
              watermark: bought_at - 5000 ms
      -> Events of purchases
              reads customerId text, item text, bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT p.item, c.page FROM purchases p LEFT JOIN clicks c ON c."user" = p.customerid AND c._timestamp >= p.bought_at AND c._timestamp < p.bought_at + INTERVAL '10 minutes' AND c.ms > 100
=>
View v: rows are only ever added
  Project
       item, page
    -> Left join
            on customerId = user
            _timestamp from +0ms to +599999.999ms of bought_at
            gives a pair once, and a row without partner when none can come any more
            state: the rows of both sides, for 599999.999ms; in memory alone
      -> Events of purchases
              reads customerId text, item text, bought_at timestamptz
              watermark: bought_at - 5000 ms
      -> Filter
              where ms > 100
        -> Events of clicks
                reads page text, user text, ms double precision, _timestamp timestamptz
                watermark: record timestamp
----
CREATE MATERIALIZED VIEW v AS SELECT p.item, c.page FROM purchases p, clicks c WHERE c."user" = p.customerid AND p.bought_at - INTERVAL '1 day' <= c._timestamp AND p.bought_at >= c._timestamp
=>
View v: rows are only ever added
  Project
       item, page
    -> Inner join
            on customerId = user
            _timestamp from -1d to +0ms of bought_at
            gives a pair once, and a row without partner when none can come any more
            state: the rows of both sides, for 1d; in memory alone
      -> Events of purchases
              reads customerId text, item text, bought_at timestamptz
              watermark: bought_at - 5000 ms
      -> Events of clicks
              reads page text, user text, _timestamp timestamptz
              watermark: record timestamp
----
CREATE MATERIALIZED VIEW v AS SELECT p.item, c.page FROM purchases p FULL JOIN clicks c ON p.bought_at > c._timestamp - INTERVAL '1 minute' AND p.bought_at < c._timestamp + INTERVAL '1 minute'
=>
View v: rows are only ever added
  Project
       item, page
    -> Full join
            of all pairs
            _timestamp from -59999.999ms to +59999.999ms of bought_at
            gives a pair once, and a row without partner when none can come any more
            state: the rows of both sides, for 119999.998ms; in memory alone
      -> Events of purchases
              reads item text, bought_at timestamptz
              watermark: bought_at - 5000 ms
      -> Events of clicks
              reads page text, _timestamp timestamptz
              watermark: record timestamp
----
CREATE MATERIALIZED VIEW v AS WITH met AS (SELECT p.item, p.bought_at FROM purchases p JOIN clicks c ON c."user" = p.customerid AND c._timestamp BETWEEN p.bought_at AND p.bought_at + INTERVAL '10 minutes') SELECT window_start, item, count(*) FROM TUMBLE(met, bought_at, INTERVAL '1 hour') GROUP BY window_start, window_end, item EMIT ON WINDOW CLOSE
=>
View v: rows are only ever added, one per key (window_start, item)
  Project
       window_start, item, count
    -> Aggregate by window_start, window_end, item
            count(*)
            emits once, when the watermark has passed the window
            state: one entry per group of the windows still open; on disk where memory has no room
      -> Window over bought_at: tumble 1h
        -> Project
                item, bought_at
          -> Inner join
                  on customerId = user
                  _timestamp from +0ms to +10m of bought_at
                  gives a pair once, and a row without partner when none can come any more
                  state: the rows of both sides, for 10m; in memory alone
            -> Events of purchases
                    reads customerId text, item text, bought_at timestamptz
                    watermark: bought_at - 5000 ms
            -> Events of clicks
                    reads user text, _timestamp timestamptz
                    watermark: record timestamp
----
CREATE MATERIALIZED VIEW v AS SELECT p.item, c.page FROM purchases p JOIN clicks c ON c."user" = p.customerid AND c._timestamp >= p.bought_at
=>
ERROR 54000: a join of streams keeps all of them for ever
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT p.item, c.page FROM purchases p JOIN clicks c ON c."user" = p.c…
                                                                                  ^
HINT: Say how far apart they are (a.t BETWEEN b.t - INTERVAL '5 minutes' AND b.t + INTERVAL '5 minutes', of both event times); or join the windows of both (… AND a.window_end = b.window_end); or a stream with the version of a table at its event time: JOIN t FOR SYSTEM_TIME AS OF s.event_time ON t.key = s.key; or let rows go after a while: WITH (state_ttl = '1d'); or accept it: WITH (allow_unbounded_state).
----
CREATE MATERIALIZED VIEW v AS SELECT p.item, c.page FROM purchases p JOIN clicks c ON c."user" = p.customerid AND c._timestamp BETWEEN p.bought_at AND p.bought_at + INTERVAL '1 month'
=>
ERROR 54000: a join of streams keeps all of them for ever
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT p.item, c.page FROM purchases p JOIN clicks c ON c."user" = p.c…
                                                                                  ^
HINT: Say how far apart they are (a.t BETWEEN b.t - INTERVAL '5 minutes' AND b.t + INTERVAL '5 minutes', of both event times); or join the windows of both (… AND a.window_end = b.window_end); or a stream with the version of a table at its event time: JOIN t FOR SYSTEM_TIME AS OF s.event_time ON t.key = s.key; or let rows go after a while: WITH (state_ttl = '1d'); or accept it: WITH (allow_unbounded_state).
----
CREATE MATERIALIZED VIEW v AS SELECT p.item, t.n FROM purchases p JOIN totals t ON t._timestamp BETWEEN p.bought_at AND p.bought_at + INTERVAL '1 hour' AND t.item = p.item
=>
ERROR 54000: a join of a stream and a table keeps the whole stream for ever, to restate it when the table changes
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT p.item, t.n FROM purchases p JOIN totals t ON t._timestamp BETW…
                                                                               ^
HINT: Look the row up when the event arrives: JOIN items FOR SYSTEM_TIME AS OF PROCTIME() AS i ON i.k = s.k; or as it was at the event time, with FOR SYSTEM_TIME AS OF s.t (of IN and EXISTS: join so instead); or let rows go after a while: WITH (state_ttl = '1d'); or accept it: WITH (allow_unbounded_state).
