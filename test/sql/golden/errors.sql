CREATE MATERIALIZED VIEW v AS SELECT itm FROM purchases
=>
ERROR 42703: column "itm" does not exist
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT itm FROM purchases
                                             ^
HINT: Perhaps you meant item.
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM purchase
=>
ERROR 42P01: stream, table or view "purchase" does not exist
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item FROM purchase
                                                       ^
HINT: Perhaps you meant purchases.
----
CREATE MATERIALIZED VIEW v AS SELECT p.item FROM purchases q
=>
ERROR 42P01: missing FROM-clause entry for table "p"
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT p.item FROM purchases q
                                             ^
HINT: Name it in FROM, or use its alias.
----
CREATE MATERIALIZED VIEW v AS
  SELECT item,
         amount
  FROM purchases
  GROUP BY item
=>
ERROR 42803: column "amount" must appear in the GROUP BY clause or be used in an aggregate function
LINE 3:          amount
                 ^
HINT: Add the column to GROUP BY, or put it inside an aggregate.
----
CREATE MATERIALIZED VIEW v AS SELECT item + 1 FROM purchases
=>
ERROR 42883: operator does not exist: text + int
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item + 1 FROM purchases
                                                  ^
HINT: Check the name and the argument types; add explicit casts.
----
CREATE MATERIALIZED VIEW v AS SELECT uper(item) FROM purchases
=>
ERROR 42883: function uper(text) does not exist
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT uper(item) FROM purchases
                                             ^
HINT: Perhaps you meant upper.
----
CREATE MATERIALIZED VIEW v AS SELECT substring(quantity, 1) FROM purchases
=>
ERROR 42883: function substring(int, int) does not exist
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT substring(quantity, 1) FROM purchases
                                             ^
HINT: It exists as substring(text, int, int), substring(text, int), substring(text, text); add explicit casts.
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE amount
=>
ERROR 42804: argument of WHERE must be type boolean, not type numeric
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE amount
                                                                       ^
HINT: Cast one side explicitly: CAST(x AS type) or x::type.
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE count(*) > 1
=>
ERROR 42803: aggregate functions are not allowed in WHERE
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE count(*) > 1
                                                                       ^
HINT: Add the column to GROUP BY, or put it inside an aggregate.
----
CREATE MATERIALIZED VIEW v AS SELECT sum(max(amount)) FROM purchases
=>
ERROR 42803: aggregate functions are not allowed in the arguments of an aggregate
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT sum(max(amount)) FROM purchases
                                                 ^
HINT: Add the column to GROUP BY, or put it inside an aggregate.
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE bought_at > '2024-99-01'
=>
ERROR 22007: invalid input for type timestamptz: "2024-99-01"
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE bought_at > '2024-99-01'
                                                                                   ^
HINT: Times are ISO 8601: 2026-01-31T12:00:00Z.
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE quantity = 'many'
=>
ERROR 22P02: invalid input for type integer: "many"
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE quantity = 'many'
                                                                                  ^
HINT: Write the value in the form of its type.
----
CREATE MATERIALIZED VIEW v AS SELECT 1 / 0 FROM purchases
=>
View v: rows are only ever added
  Project
       1 / 0 as ?column?
    -> Events of purchases
            reads bought_at timestamptz
            watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT CASE WHEN true THEN 1 ELSE now() END FROM purchases
=>
ERROR 42804: CASE types int and timestamptz cannot be matched
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT CASE WHEN true THEN 1 ELSE now() END FROM purchases
                                                                        ^
HINT: Cast one side explicitly: CAST(x AS type) or x::type.
----
CREATE MATERIALIZED VIEW v AS SELECT CAST(note AS date) FROM purchases
=>
ERROR 42846: cannot cast type jsonb to date
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT CAST(note AS date) FROM purchases
                                                  ^
HINT: There is no cast between these types.
----
CREATE MATERIALIZED VIEW v AS SELECT item, item FROM purchases
=>
ERROR 42701: column "item" specified more than once
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item, item FROM purchases
                                      ^
HINT: Give each column its own name with AS.
----
CREATE MATERIALIZED VIEW v AS SELECT array_agg(item) FROM purchases
=>
ERROR 54000: array_agg keeps every row that it has seen
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT array_agg(item) FROM purchases
                                             ^
HINT: It is not supported yet. Aggregate to a value (count, sum, max …), or read the rows with SELECT.
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases ORDER BY item
=>
ERROR 0A000: a view has no order of its own
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases ORDER BY item
                                                                          ^
HINT: Add LIMIT to keep the first rows, or order when you read the view.
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases LIMIT 5
=>
ERROR 0A000: LIMIT without ORDER BY would keep no certain rows
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases LIMIT 5
                                                                       ^
HINT: Add ORDER BY.
----
CREATE MATERIALIZED VIEW v AS SELECT item, count(*) FROM purchases GROUP BY item EMIT ON WINDOW CLOSE
=>
ERROR 42P20: EMIT ON WINDOW CLOSE needs a window in GROUP BY
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item, count(*) FROM purchases GROUP BY item EMIT ON WINDOW CLOS…
                                      ^
HINT: SELECT … FROM TUMBLE(stream, time, INTERVAL '1 minute') GROUP BY window_start, window_end, …
----
CREATE MATERIALIZED VIEW v AS SELECT * FROM HOP(purchases, bought_at, INTERVAL '1 minute', INTERVAL '5 minutes')
=>
View v: rows are only ever added
  Window over bought_at: hop 5m every 1m
    -> Events of purchases
            reads customerId text, item text, quantity int, amount numeric(12,2), bought_at timestamptz, note jsonb
            watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELECT * FROM TUMBLE(purchases, amount, INTERVAL '1 minute')
=>
ERROR 42P20: this is not the event-time column
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT * FROM TUMBLE(purchases, amount, INTERVAL '1 minute')
                                                                      ^
HINT: Event time is bought_at: the column with the WATERMARK, else _timestamp.
----
CREATE MATERIALIZED VIEW v AS SELECT * FROM TUMBLE(purchases, bought_at, INTERVAL '1 month')
=>
ERROR 22023: the size of a window is a positive interval of whole milliseconds, without months
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT * FROM TUMBLE(purchases, bought_at, INTERVAL '1 month')
                                                                                 ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE item IN (SELECT item FROM items)
=>
ERROR 54000: a join of a stream and a table keeps the whole stream for ever, to restate it when the table changes
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE item IN (SELECT item FROM items)
                                                                       ^
HINT: Look the row up when the event arrives: JOIN items FOR SYSTEM_TIME AS OF PROCTIME() AS i ON i.k = s.k; or as it was at the event time, with FOR SYSTEM_TIME AS OF s.t (of IN and EXISTS: join so instead); or let rows go after a while: WITH (state_ttl = '1d'); or accept it: WITH (allow_unbounded_state).
----
CREATE MATERIALIZED VIEW v AS SELECT $1 FROM purchases
=>
ERROR 42P02: a definition cannot have parameters
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT $1 FROM purchases
                                             ^
HINT: Write the value itself.
----
CREATE MATERIALIZED VIEW v AS SELECT page FROM clicks UNION ALL SELECT quantity FROM purchases
=>
ERROR 42804: UNION types of column 1 ("page") cannot be matched
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT page FROM clicks UNION ALL SELECT quantity FROM purchases
                                                                        ^
HINT: Cast one side explicitly: CAST(x AS type) or x::type.
----
CREATE MATERIALIZED VIEW v AS SELECT page, ms FROM clicks UNION ALL SELECT item FROM purchases
=>
ERROR 42601: each UNION query must have the same number of columns
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT page, ms FROM clicks UNION ALL SELECT item FROM purchases
                                                                            ^
HINT: Read what was expected at the marked place; docs/sql.md has the grammar.
----
CREATE MATERIALIZED VIEW v AS SELECT page FROM clicks EXCEPT SELECT item FROM purchases
=>
View v: newest row per key (page)
  Project
       page
    -> Filter
            where (left > 0) and (right = 0)
      -> Aggregate by page
              count(*) filter (where side = 0), count(*) filter (where side = 1)
              emits whenever a result changes
              state: one entry per group, for as long as the view lives; on disk where memory has no room
        -> Union all
          -> Project
                  page, 0 as side
            -> Events of clicks
                    reads page text
                    watermark: record timestamp
          -> Project
                  item, 1 as side
            -> Events of purchases
                    reads item text, bought_at timestamptz
                    watermark: bought_at - 5000 ms
----
CREATE MATERIALIZED VIEW v AS SELCT 1
=>
ERROR 42601: syntax error at or near "SELCT", expected SELECT, VALUES or WITH
LINE 1: CREATE MATERIALIZED VIEW v AS SELCT 1
                                      ^
HINT: Read what was expected at the marked place; docs/sql.md has the grammar.
EXPECTED: SELECT, VALUES, WITH
----
CREATE MATERIALIZED VIEW v AS SELECT (1 + FROM t
=>
ERROR 42601: syntax error at or near "FROM", expected an expression
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT (1 + FROM t
                                                  ^
HINT: Read what was expected at the marked place; docs/sql.md has the grammar.
EXPECTED: an expression
----
CREATE MATERIALIZED VIEW v AS SELECT 'open FROM t
=>
ERROR 42601: unterminated quoted string
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT 'open FROM t
                                             ^
HINT: Read what was expected at the marked place; docs/sql.md has the grammar.
----
CREATE OR REPLACE VIEW v AS SELECT 1
=>
ERROR 0A000: OR REPLACE of anything but a MATERIALIZED VIEW is not supported yet
LINE 1: CREATE OR REPLACE VIEW v AS SELECT 1
               ^
HINT: DROP it first, then CREATE.
----
CREATE MATERIALIZED VIEW v WITH (on_eror = 'skip') AS SELECT page FROM clicks
=>
ERROR 22023: there is no option on_eror
LINE 1: CREATE MATERIALIZED VIEW v WITH (on_eror = 'skip') AS SELECT page FROM clicks
                                         ^
HINT: Perhaps you meant on_error.
----
CREATE MATERIALIZED VIEW v AS SELECT customerid::uuid FROM purchases FETCH FIRST 2 ROWS WITH TIES
=>
ERROR 42601: WITH TIES needs an ORDER BY
LINE 1: …ustomerid::uuid FROM purchases FETCH FIRST 2 ROWS WITH TIES
                                                                    ^
HINT: Read what was expected at the marked place; docs/sql.md has the grammar.
----
CREATE MATERIALIZED VIEW v AS SELECT * FROM purchases MATCH_RECOGNIZE (PARTITION BY item)
=>
ERROR 0A000: MATCH_RECOGNIZE is not supported yet
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT * FROM purchases MATCH_RECOGNIZE (PARTITION BY item)
                                                              ^
HINT: docs/sql.md lists what works today.
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE EXISTS (SELECT 1 FROM items)
=>
ERROR 54000: a join of a stream and a table keeps the whole stream for ever, to restate it when the table changes
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE EXISTS (SELECT 1 FROM items)
                                                                       ^
HINT: Look the row up when the event arrives: JOIN items FOR SYSTEM_TIME AS OF PROCTIME() AS i ON i.k = s.k; or as it was at the event time, with FOR SYSTEM_TIME AS OF s.t (of IN and EXISTS: join so instead); or let rows go after a while: WITH (state_ttl = '1d'); or accept it: WITH (allow_unbounded_state).
----
CREATE MATERIALIZED VIEW v AS SELECT tumble(bought_at, INTERVAL '1 minute') FROM purchases
=>
ERROR 42883: function tumble(timestamptz, interval) does not exist
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT tumble(bought_at, INTERVAL '1 minute') FROM purchases
                                             ^
HINT: Windows stand in FROM: SELECT window_start, count(*) AS c FROM TUMBLE(s, t, INTERVAL '1 minute') GROUP BY window_start, window_end.
----
CREATE MATERIALIZED VIEW v AS SELECT DISTINCT ON (item) item, amount FROM purchases
=>
ERROR 0A000: DISTINCT ON needs an order that says which row is kept
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT DISTINCT ON (item) item, amount FROM purchases
                                      ^
HINT: SELECT DISTINCT ON (k) … FROM … ORDER BY k, x DESC keeps the row with the largest x of each k.
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases GROUP BY ROLLUP (item)
=>
ERROR 0A000: ROLLUP is not supported yet
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases GROUP BY ROLLUP (item)
                                                                          ^
HINT: Write one query a grouping and join them with UNION ALL.
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases FOR UPDATE
=>
ERROR 0A000: row locks do not exist here
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases FOR UPDATE
                                                                 ^
HINT: docs/sql.md lists what works today.
----
CREATE MATERIALIZED VIEW v AS WITH RECURSIVE t AS (SELECT item FROM purchases) SELECT * FROM t
=>
ERROR 0A000: WITH RECURSIVE is not supported yet
LINE 1: CREATE MATERIALIZED VIEW v AS WITH RECURSIVE t AS (SELECT item FROM purchases) SELECT * FROM t
                                                     ^
HINT: docs/sql.md lists what works today.
----
CREATE MATERIALIZED VIEW v AS SELECT note.shop FROM purchases
=>
ERROR 42P01: missing FROM-clause entry for table "note"
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT note.shop FROM purchases
                                             ^
HINT: Reach into JSON with note ->> 'shop'.
----
CREATE MATERIALIZED VIEW v AS SELECT 1 AS a
=>
ERROR 0A000: rows that stand in the text of a view
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT 1 AS a
                                      ^
HINT: INSERT them into a TABLE, and read that.
----
UPDATE purchases SET item = 'x'
=>
ERROR 0A000: UPDATE is not supported yet
LINE 1: UPDATE purchases SET item = 'x'
        ^
HINT: A row of a table replaces the one with the same key: INSERT INTO items VALUES ('a', 'new', 2).
