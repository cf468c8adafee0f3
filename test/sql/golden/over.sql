CREATE MATERIALIZED VIEW v AS SELECT customerid, amount, avg(amount) OVER w AS mean, stddev_samp(amount) OVER w AS sd, count(*) OVER w AS n FROM purchases WINDOW w AS (PARTITION BY customerid ORDER BY bought_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
=>
View v: rows are only ever added
  Project
       customerId, amount, avg as mean, stddev_samp as sd, count as n
    -> Over each customerId, in order of bought_at
            avg(amount) rows unbounded preceding to 1 preceding, stddev_samp(amount) rows unbounded preceding to 1 preceding, count(*) rows unbounded preceding to 1 preceding
            gives a row once, when the watermark has passed it
            state: one entry per partition; rows that wait for the watermark; some of it on disk where memory has no room
      -> Events of purchases
              reads customerId text, amount numeric(12,2), bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT item, sum(amount) OVER (PARTITION BY item ORDER BY bought_at ROWS UNBOUNDED PRECEDING) FROM purchases
=>
View v: rows are only ever added
  Project
       item, sum
    -> Over each item, in order of bought_at
            sum(amount) rows unbounded preceding to current row
            gives a row once, when the watermark has passed it
            state: one entry per partition; rows that wait for the watermark; some of it on disk where memory has no room
      -> Events of purchases
              reads item text, amount numeric(12,2), bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT count(*) OVER (PARTITION BY date_trunc('day', bought_at), customerid ORDER BY bought_at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS nth FROM purchases
=>
View v: rows are only ever added
  Project
       count as nth
    -> Over each _0, customerId, in order of bought_at
            count(*) rows unbounded preceding to current row
            gives a row once, when the watermark has passed it
            state: one entry per partition; rows that wait for the watermark; some of it on disk where memory has no room
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
            state: the first rows of each partition, and all of its rows where the input may withdraw some; on disk where memory has no room
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
              state: the first rows of each partition, and all of its rows where the input may withdraw some; on disk where memory has no room
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
            state: the first rows of each partition, and all of its rows where the input may withdraw some; on disk where memory has no room
      -> Newest rows per item of totals
              reads item text, total numeric
              watermark: record timestamp
              state: one row per key; on disk where memory has no room
----
CREATE MATERIALIZED VIEW v AS SELECT item, row_number() OVER (PARTITION BY item ORDER BY amount) FROM purchases
=>
ERROR 54000: this window function keeps every row of a stream
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item, row_number() OVER (PARTITION BY item ORDER BY amount) FRO…
                                                   ^
HINT: Order it by the event time, ascending, with a frame that ends; or partition it by a window_end; or keep the first few: SELECT … FROM (SELECT …, row_number() OVER (…) AS n FROM …) WHERE n <= 3; or accept it: WITH (allow_unbounded_state).
----
CREATE MATERIALIZED VIEW v AS SELECT sum(amount) OVER (PARTITION BY item ORDER BY amount ROWS UNBOUNDED PRECEDING) FROM purchases
=>
ERROR 54000: this window function keeps every row of a stream
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT sum(amount) OVER (PARTITION BY item ORDER BY amount ROWS UNBOUN…
                                             ^
HINT: Order it by the event time, ascending, with a frame that ends; or partition it by a window_end; or keep the first few: SELECT … FROM (SELECT …, row_number() OVER (…) AS n FROM …) WHERE n <= 3; or accept it: WITH (allow_unbounded_state).
----
CREATE MATERIALIZED VIEW v AS SELECT sum(amount) OVER (PARTITION BY item ORDER BY bought_at) FROM purchases
=>
View v: rows are only ever added
  Project
       sum
    -> Over each item, in order of bought_at
            sum(amount) range unbounded preceding to current row
            gives a row once, when the watermark has passed it
            state: one entry per partition; rows that wait for the watermark; some of it on disk where memory has no room
      -> Events of purchases
              reads item text, amount numeric(12,2), bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT rank() OVER (ORDER BY bought_at ROWS UNBOUNDED PRECEDING) FROM purchases
=>
View v: rows are only ever added
  Project
       rank
    -> Over all rows, in order of bought_at
            rank()
            gives a row once, when the watermark has passed it
            state: one entry per partition; rows that wait for the watermark; some of it on disk where memory has no room
      -> Events of purchases
              reads bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT item, sum(count(*)) OVER (ORDER BY item) FROM purchases GROUP BY item
=>
View v: newest row per key (item)
  Project
       item, sum
    -> Over all rows, in order of item
            sum(count) range unbounded preceding to current row
            gives a row at once, and again whenever its result changes
            state: all rows; on disk where memory has no room
      -> Aggregate by item
              count(*)
              emits whenever a result changes
              state: one entry per group, for as long as the view lives; on disk where memory has no room
        -> Events of purchases
                reads item text, bought_at timestamptz
                watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT item, amount, lag(amount) OVER w AS before, amount - avg(amount) OVER (w RANGE BETWEEN INTERVAL '1 hour' PRECEDING AND CURRENT ROW) AS more, sum(amount) OVER (w ROWS 9 PRECEDING) FROM purchases WINDOW w AS (PARTITION BY item ORDER BY bought_at)
=>
View v: rows are only ever added
  Project
       item, amount, lag as before, amount - avg as more, sum
    -> Over each item, in order of bought_at
            lag(amount, 1), avg(amount) range 1h preceding to current row, sum(amount) rows 9 preceding to current row
            gives a row once, when the watermark has passed it
            state: one entry and the last 9 rows and the rows of the last 1h per partition; rows that wait for the watermark; some of it on disk where memory has no room
      -> Events of purchases
              reads item text, amount numeric(12,2), bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT item, lead(item, 2, 'none') OVER (PARTITION BY customerid ORDER BY bought_at), count(*) OVER (ORDER BY bought_at RANGE BETWEEN CURRENT ROW AND INTERVAL '5 minutes' FOLLOWING) FROM purchases
=>
ERROR 54000: this window function keeps every row of a stream
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item, lead(item, 2, 'none') OVER (PARTITION BY customerid ORDER…
                                                   ^
HINT: Order it by the event time, ascending, with a frame that ends; or partition it by a window_end; or keep the first few: SELECT … FROM (SELECT …, row_number() OVER (…) AS n FROM …) WHERE n <= 3; or accept it: WITH (allow_unbounded_state).
----
CREATE MATERIALIZED VIEW v AS SELECT item, price, rank() OVER (ORDER BY price DESC), ntile(4) OVER (ORDER BY price DESC), percent_rank() OVER (ORDER BY price DESC) FROM items
=>
View v: newest row per key (item)
  Over all rows, in order of price desc
       rank(), ntile(4), percent_rank()
       gives a row at once, and again whenever its result changes
       state: all rows; on disk where memory has no room
    -> Newest rows per item of items
            reads item text, price numeric(12,2)
            watermark: record timestamp
            state: one row per key; on disk where memory has no room
----
CREATE MATERIALIZED VIEW v AS SELECT item, rank FROM (SELECT item, customerid, rank() OVER (PARTITION BY item ORDER BY amount DESC) FROM purchases) t WHERE rank <= 3
=>
View v: rows are added and withdrawn, with weights
  Project
       item, rank
    -> Over each item, in order of amount desc
            rank()
            keeps rows with rank up to 3
            gives a row at once, and again whenever its result changes
            state: the first rows of each partition, and all of its rows where the input may withdraw some; on disk where memory has no room
      -> Events of purchases
              reads item text, amount numeric(12,2), bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT * FROM (SELECT item, row_number() OVER w AS n, lead(total) OVER w AS next FROM items JOIN totals USING (item) WINDOW w AS (PARTITION BY stock ORDER BY total)) t WHERE n = 1
=>
View v: newest row per key (item)
  Project
       item, row_number as n, lead as next
    -> First 1 of each stock, numbered
            by total
            state: the first rows of each partition, and all of its rows where the input may withdraw some; on disk where memory has no room
      -> Over each stock, in order of total
              lead(total, 1)
              gives a row at once, and again whenever its result changes
              state: all rows; on disk where memory has no room
        -> Inner join
                on item = item
                state: the rows of both sides; on disk where memory has no room
          -> Newest rows per item of items
                  reads item text, stock int
                  watermark: record timestamp
                  state: one row per key; on disk where memory has no room
          -> Newest rows per item of totals
                  reads item text, total numeric
                  watermark: record timestamp
                  state: one row per key; on disk where memory has no room
----
CREATE MATERIALIZED VIEW v AS SELECT * FROM (SELECT item, stock, row_number() OVER w AS n, lead(price) OVER w AS next FROM items WINDOW w AS (PARTITION BY stock ORDER BY price)) t WHERE n = 1
=>
View v: newest row per key (item)
  Project
       item, stock, row_number as n, lead as next
    -> First 1 of each stock, numbered
            by price
            state: the first rows of each partition, and all of its rows where the input may withdraw some; on disk where memory has no room
      -> Over each stock, in order of price
              lead(price, 1)
              gives a row at once, and again whenever its result changes
              state: all rows; on disk where memory has no room
        -> Newest rows per item of items
                reads item text, stock int, price numeric(12,2)
                watermark: record timestamp
                state: one row per key; on disk where memory has no room
----
CREATE MATERIALIZED VIEW v AS SELECT item, n, rank() OVER (PARTITION BY window_start, window_end ORDER BY n DESC) FROM (SELECT item, window_start, window_end, count(*) AS n FROM TUMBLE(purchases, bought_at, INTERVAL '1 hour') GROUP BY item, window_start, window_end) t
=>
View v: rows are added and withdrawn, with weights
  Project
       item, n, rank
    -> Over each window_start, window_end, in order of n desc
            rank()
            gives a row at once, and again whenever its result changes
            state: all rows, until their window closes; on disk where memory has no room
      -> Project
              item, window_start, window_end, count as n
        -> Aggregate by item, window_start, window_end
                count(*)
                emits whenever a result changes
                state: one entry per group and window; on disk where memory has no room
          -> Window over bought_at: tumble 1h
            -> Events of purchases
                    reads item text, bought_at timestamptz
                    watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v WITH (allow_unbounded_state) AS SELECT item, sum(amount) OVER (PARTITION BY item) FROM purchases
=>
View v: rows are added and withdrawn, with weights
  Project
       item, sum
    -> Over each item
            sum(amount) range unbounded preceding to current row
            gives a row at once, and again whenever its result changes
            state: all rows; on disk where memory has no room
      -> Events of purchases
              reads item text, amount numeric(12,2), bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT window_start, count(*) FROM TUMBLE((SELECT bought_at, lead(item) OVER (ORDER BY bought_at) AS next FROM purchases), bought_at, INTERVAL '1 hour') GROUP BY window_start, window_end
=>
ERROR 42P20: this is not the event-time column
LINE 1: …d(item) OVER (ORDER BY bought_at) AS next FROM purchases), bought_at, INTERVAL '1 hour') GROUP BY wi…
                                                                    ^
HINT: The rows here have no event time any more; keep its column in the SELECT list below.
----
CREATE MATERIALIZED VIEW v AS SELECT cume_dist() OVER (PARTITION BY item ORDER BY bought_at) FROM purchases
=>
ERROR 54000: this window function keeps every row of a stream
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT cume_dist() OVER (PARTITION BY item ORDER BY bought_at) FROM pu…
                                             ^
HINT: Order it by the event time, ascending, with a frame that ends; or partition it by a window_end; or keep the first few: SELECT … FROM (SELECT …, row_number() OVER (…) AS n FROM …) WHERE n <= 3; or accept it: WITH (allow_unbounded_state).
----
CREATE MATERIALIZED VIEW v AS SELECT sum(amount) OVER (ORDER BY bought_at RANGE BETWEEN INTERVAL '1 month' PRECEDING AND CURRENT ROW) FROM purchases
=>
ERROR 0A000: months are not all of one length
LINE 1: … SELECT sum(amount) OVER (ORDER BY bought_at RANGE BETWEEN INTERVAL '1 month' PRECEDING AND CURRENT …
                                                                    ^
HINT: Write days: RANGE BETWEEN INTERVAL '30 days' PRECEDING AND CURRENT ROW.
----
CREATE MATERIALIZED VIEW v AS SELECT sum(price) OVER (ORDER BY price, item RANGE 5 PRECEDING) FROM items
=>
ERROR 42P20: RANGE with an offset needs exactly one ORDER BY column
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT sum(price) OVER (ORDER BY price, item RANGE 5 PRECEDING) FROM i…
                                                                                   ^
HINT: docs/sql.md says where windows and OVER may stand.
----
CREATE MATERIALIZED VIEW v AS SELECT sum(price) OVER (ORDER BY item RANGE 5 PRECEDING) FROM items
=>
ERROR 0A000: RANGE with an offset over text is not supported
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT sum(price) OVER (ORDER BY item RANGE 5 PRECEDING) FROM items
                                                                                  ^
HINT: It is over times, dates, integers, double precision and numeric(p,s): cast the ORDER BY column.
----
CREATE MATERIALIZED VIEW v AS SELECT sum(price) OVER (ORDER BY price RANGE 'x' PRECEDING) FROM items
=>
ERROR 22P02: invalid input for type numeric: "x"
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT sum(price) OVER (ORDER BY price RANGE 'x' PRECEDING) FROM items
                                                                                   ^
HINT: Write the value in the form of its type.
----
CREATE MATERIALIZED VIEW v AS SELECT sum(price) OVER (ORDER BY price ROWS BETWEEN -1 PRECEDING AND CURRENT ROW) FROM items
=>
ERROR 22023: a frame must not be negative
LINE 1: …W v AS SELECT sum(price) OVER (ORDER BY price ROWS BETWEEN -1 PRECEDING AND CURRENT ROW) FROM items
                                                                    ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE MATERIALIZED VIEW v AS SELECT sum(price) OVER (ORDER BY price GROUPS 1 PRECEDING) FROM items
=>
ERROR 0A000: GROUPS in a frame is not supported yet
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT sum(price) OVER (ORDER BY price GROUPS 1 PRECEDING) FROM items
                                                                             ^
HINT: ROWS and RANGE are, from … PRECEDING, CURRENT ROW or … FOLLOWING to one of these.
----
CREATE MATERIALIZED VIEW v AS SELECT sum(price) OVER (ORDER BY price ROWS 1 PRECEDING EXCLUDE TIES) FROM items
=>
ERROR 0A000: EXCLUDE in a frame is not supported yet
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT sum(price) OVER (ORDER BY price ROWS 1 PRECEDING EXCLUDE TIES) …
                                                                             ^
HINT: ROWS and RANGE are, from … PRECEDING, CURRENT ROW or … FOLLOWING to one of these.
----
CREATE MATERIALIZED VIEW v AS SELECT lag(price) OVER (PARTITION BY stock) FROM items
=>
ERROR 42P20: lag() needs an ORDER BY in its window
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT lag(price) OVER (PARTITION BY stock) FROM items
                                                             ^
HINT: docs/sql.md says where windows and OVER may stand.
----
CREATE MATERIALIZED VIEW v AS SELECT lag(price, stock) OVER (ORDER BY item) FROM items
=>
ERROR 0A000: lag needs a constant whole number here
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT lag(price, stock) OVER (ORDER BY item) FROM items
                                                        ^
HINT: docs/sql.md lists what works today.
----
CREATE MATERIALIZED VIEW v AS SELECT lag(price, 1, 'x') OVER (ORDER BY item) FROM items
=>
ERROR 22P02: invalid input for type numeric: "x"
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT lag(price, 1, 'x') OVER (ORDER BY item) FROM items
                                                           ^
HINT: Write the value in the form of its type.
----
CREATE MATERIALIZED VIEW v AS SELECT lag(stock, 1, item) OVER (ORDER BY item) FROM items
=>
ERROR 42804: the default of lag has another type
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT lag(stock, 1, item) OVER (ORDER BY item) FROM items
                                                           ^
HINT: Cast one side explicitly: CAST(x AS type) or x::type.
----
CREATE MATERIALIZED VIEW v AS SELECT ntile(0) OVER (ORDER BY item), rank(1) OVER (ORDER BY item) FROM items
=>
ERROR 22023: the argument of ntile must be at least 1
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT ntile(0) OVER (ORDER BY item), rank(1) OVER (ORDER BY item) FRO…
                                                   ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE MATERIALIZED VIEW v AS SELECT rank(item) OVER (ORDER BY item) FROM items
=>
ERROR 42883: function rank(text) does not exist
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT rank(item) OVER (ORDER BY item) FROM items
                                             ^
HINT: Check the name and the argument types; add explicit casts.
----
CREATE MATERIALIZED VIEW v AS SELECT nth_value(item, 2) OVER (ORDER BY item) FROM items
=>
ERROR 0A000: nth_value OVER (…) is not supported yet
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT nth_value(item, 2) OVER (ORDER BY item) FROM items
                                             ^
HINT: Aggregates and row_number, rank, dense_rank, percent_rank, cume_dist, ntile, lag, lead, first_value, last_value are.
----
CREATE MATERIALIZED VIEW v AS SELECT count(*) OVER (w PARTITION BY stock) FROM items WINDOW w AS (ORDER BY item)
=>
ERROR 42P20: cannot override the PARTITION BY of window "w"
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT count(*) OVER (w PARTITION BY stock) FROM items WINDOW w AS (OR…
                                                                           ^
HINT: docs/sql.md says where windows and OVER may stand.
----
CREATE MATERIALIZED VIEW v AS SELECT count(*) OVER (w ORDER BY stock) FROM items WINDOW w AS (ORDER BY item)
=>
ERROR 42P20: cannot override the ORDER BY of window "w"
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT count(*) OVER (w ORDER BY stock) FROM items WINDOW w AS (ORDER …
                                                                       ^
HINT: docs/sql.md says where windows and OVER may stand.
----
CREATE MATERIALIZED VIEW v AS SELECT count(*) OVER (w), count(*) OVER v FROM items WINDOW w AS (ORDER BY item ROWS 1 PRECEDING)
=>
ERROR 42P20: cannot copy window "w": it has a frame
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT count(*) OVER (w), count(*) OVER v FROM items WINDOW w AS (ORDE…
                                                            ^
HINT: docs/sql.md says where windows and OVER may stand.
----
CREATE MATERIALIZED VIEW v AS SELECT count(*) OVER v FROM items WINDOW w AS (ORDER BY item)
=>
ERROR 42P20: window "v" does not exist
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT count(*) OVER v FROM items WINDOW w AS (ORDER BY item)
                                                           ^
HINT: docs/sql.md says where windows and OVER may stand.
----
CREATE MATERIALIZED VIEW v AS SELECT sum(rank() OVER (ORDER BY item)) OVER (ORDER BY item) FROM items
=>
ERROR 42P20: window functions are not allowed in the arguments of an aggregate
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT sum(rank() OVER (ORDER BY item)) OVER (ORDER BY item) FROM item…
                                                 ^
HINT: docs/sql.md says where windows and OVER may stand.
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM items WHERE rank() OVER (ORDER BY item) < 3
=>
ERROR 42P20: window functions are not allowed in WHERE
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item FROM items WHERE rank() OVER (ORDER BY item) < 3
                                                                   ^
HINT: docs/sql.md says where windows and OVER may stand.
----
CREATE MATERIALIZED VIEW v AS SELECT item, lead(item, 2, 'none') OVER w, count(*) OVER (w RANGE BETWEEN INTERVAL '5 minutes' PRECEDING AND INTERVAL '5 minutes' FOLLOWING) FROM purchases WINDOW w AS (PARTITION BY customerid ORDER BY bought_at)
=>
View v: rows are only ever added
  Project
       item, lead, count
    -> Over each customerId, in order of bought_at
            lead(item, 2, 'none'), count(*) range 5m preceding to 5m following
            gives a row once, when the watermark has passed it and what it looks ahead to
            state: the rows of the last 5m; rows that wait for the watermark; some of it on disk where memory has no room
      -> Events of purchases
              reads customerId text, item text, bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS WITH t AS (SELECT item, bought_at, lead(item) OVER (ORDER BY bought_at) AS next FROM purchases) SELECT window_start, count(*) FROM TUMBLE(t, bought_at, INTERVAL '1 hour') GROUP BY window_start, window_end
=>
ERROR 42P20: this is not the event-time column
LINE 1: …OM purchases) SELECT window_start, count(*) FROM TUMBLE(t, bought_at, INTERVAL '1 hour') GROUP BY wi…
                                                                    ^
HINT: The rows here have no event time any more; keep its column in the SELECT list below.
----
CREATE MATERIALIZED VIEW v AS SELECT item, count(*) OVER (PARTITION BY item ORDER BY bought_at RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW) AS n FROM purchases
=>
View v: rows are only ever added
  Project
       item, count as n
    -> Over each item, in order of bought_at
            count(*) range 1d preceding to current row
            gives a row once, when the watermark has passed it
            state: the rows of the last 1d; rows that wait for the watermark; some of it on disk where memory has no room
      -> Events of purchases
              reads item text, bought_at timestamptz
              watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT DISTINCT ON (item) item, customerid, amount FROM purchases ORDER BY item, bought_at DESC
=>
View v: newest row per key (item)
  Project
       item, customerId, amount
    -> First 1 of each item
            by _3 desc
            state: the first rows of each partition, and all of its rows where the input may withdraw some; on disk where memory has no room
      -> Project
              item, customerId, amount, bought_at as _3
        -> Events of purchases
                reads customerId text, item text, amount numeric(12,2), bought_at timestamptz
                watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT DISTINCT ON (item, 2) item, customerid FROM purchases ORDER BY item, bought_at DESC
=>
ERROR 42601: SELECT DISTINCT ON expressions must match initial ORDER BY expressions
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT DISTINCT ON (item, 2) item, customerid FROM purchases ORDER BY …
                                      ^
HINT: Read what was expected at the marked place; docs/sql.md has the grammar.
----
CREATE MATERIALIZED VIEW v WITH (allowed_lateness = '1 hour') AS SELECT count(*) FROM purchases
=>
ERROR 22023: option allowed_lateness must be a duration like 500ms, 5s, 1h or 7d
LINE 1: CREATE MATERIALIZED VIEW v WITH (allowed_lateness = '1 hour') AS SELECT count(*) FROM purchases
                                                            ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE MATERIALIZED VIEW v WITH (allowed_lateness = '1h') AS SELECT window_start, count(*) FROM TUMBLE(purchases, bought_at, INTERVAL '1 minute') GROUP BY window_start, window_end
=>
View v: newest row per key (window_start)
  Project
       window_start, count
    -> Aggregate by window_start, window_end
            count(*)
            emits whenever a result changes
            state: one entry per group and window; on disk where memory has no room
      -> Window over bought_at: tumble 1m
        -> Events of purchases
                reads bought_at timestamptz
                watermark: bought_at - 5000 ms, and 1h of allowed lateness
----
CREATE MATERIALIZED VIEW v AS SELECT window_start, item, quantity FROM (SELECT *, row_number() OVER (PARTITION BY window_start, window_end, item ORDER BY quantity DESC) AS n FROM TUMBLE(purchases, bought_at, INTERVAL '1 minute')) AS w WHERE n <= 2
=>
View v: rows are added and withdrawn, with weights
  Project
       window_start, item, quantity
    -> Over each window_start, window_end, item, in order of quantity desc
            row_number()
            keeps rows with row_number up to 2
            gives a row at once, and again whenever its result changes
            state: the first rows of each partition, and all of its rows where the input may withdraw some, until its window closes; on disk where memory has no room
      -> Window over bought_at: tumble 1m
        -> Events of purchases
                reads item text, quantity int, bought_at timestamptz
                watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY window_start, window_end ORDER BY n DESC) AS place FROM (SELECT item, window_start, window_end, count(*) AS n FROM HOP(purchases, bought_at, INTERVAL '10 seconds', INTERVAL '1 minute') GROUP BY item, window_start, window_end) AS c) AS w WHERE place = 1 EMIT ON WINDOW CLOSE
=>
View v: rows are only ever added, one per key (item, window_start)
  Project
       item, window_start, window_end, n, row_number as place
    -> Over each window_start, window_end, in order of n desc
            row_number()
            keeps rows with row_number up to 1
            gives the rows of a window once, when the watermark has passed it
            state: the first rows of each partition, and all of its rows where the input may withdraw some, until its window closes; in memory alone
      -> Project
              item, window_start, window_end, count as n
        -> Aggregate by item, window_start, window_end
                count(*)
                emits once, when the watermark has passed the window
                state: one entry per group of the windows still open; on disk where memory has no room
                counted in slices of 10s, added up by window
          -> Window over bought_at: hop 1m every 10s
            -> Events of purchases
                    reads item text, bought_at timestamptz
                    watermark: bought_at - 5000 ms
