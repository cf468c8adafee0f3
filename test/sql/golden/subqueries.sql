CREATE MATERIALIZED VIEW v AS SELECT item FROM items WHERE item IN (SELECT item FROM stock WHERE quantity > 3) AND price > 1
=>
View v: newest row per key (item)
  Project
       item
    -> Semi join
            on item = item
            state: the rows of both sides; on disk where memory has no room
      -> Filter
              where price > 1.00
        -> Newest rows per item of items
                reads item text, price numeric(12,2)
                watermark: record timestamp
                state: one row per key; on disk where memory has no room
      -> Filter
              where quantity > 3
        -> Newest rows per warehouse, item of stock
                reads warehouse text, item text, quantity bigint
                watermark: record timestamp
                state: one row per key; on disk where memory has no room
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM items i WHERE NOT EXISTS (SELECT 1 FROM stock WHERE item = i.item AND quantity > i.stock)
=>
View v: newest row per key (item)
  Project
       item
    -> Anti join
            on item = item
            where quantity > stock::bigint
            state: the rows of both sides; on disk where memory has no room
      -> Newest rows per item of items
              reads item text, stock int
              watermark: record timestamp
              state: one row per key; on disk where memory has no room
      -> Newest rows per warehouse, item of stock
              reads warehouse text, item text, quantity bigint
              watermark: record timestamp
              state: one row per key; on disk where memory has no room
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM items WHERE stock NOT IN (SELECT quantity FROM stock)
=>
View v: newest row per key (item)
  Project
       item
    -> Anti join
            of all pairs
            where (stock::bigint = quantity) or stock is null or quantity is null
            state: the rows of both sides; on disk where memory has no room
      -> Newest rows per item of items
              reads item text, stock int
              watermark: record timestamp
              state: one row per key; on disk where memory has no room
      -> Newest rows per warehouse, item of stock
              reads warehouse text, item text, quantity bigint
              watermark: record timestamp
              state: one row per key; on disk where memory has no room
----
CREATE MATERIALIZED VIEW v AS SELECT item, price - (SELECT avg(price) FROM items) AS more FROM items WHERE stock < (SELECT max(stock) FROM items)
=>
View v: newest row per key (item)
  Project
       item, price - avg as more
    -> Left join
            of all pairs
            state: the rows of both sides; on disk where memory has no room
      -> Filter
              where stock < max
        -> Left join
                of all pairs
                state: the rows of both sides; on disk where memory has no room
          -> Newest rows per item of items
                  reads item text, stock int, price numeric(12,2)
                  watermark: record timestamp
                  state: one row per key; on disk where memory has no room
          -> Aggregate over all rows
                  max(stock)
                  emits whenever a result changes
                  state: one entry; some of it on disk where memory has no room
            -> Newest rows per item of items
                    reads item text, stock int
                    watermark: record timestamp
                    state: one row per key; on disk where memory has no room
      -> Aggregate over all rows
              avg(price)
              emits whenever a result changes
              state: one entry; in memory alone
        -> Newest rows per item of items
                reads item text, price numeric(12,2)
                watermark: record timestamp
                state: one row per key; on disk where memory has no room
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE item IN (SELECT item FROM items)
=>
ERROR 54000: a join of a stream and a table keeps the whole stream for ever, to restate it when the table changes
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item FROM purchases WHERE item IN (SELECT item FROM items)
                                                                       ^
HINT: Look the row up when the event arrives: JOIN items FOR SYSTEM_TIME AS OF PROCTIME() AS i ON i.k = s.k; or as it was at the event time, with FOR SYSTEM_TIME AS OF s.t (of IN and EXISTS: join so instead); or let rows go after a while: WITH (state_ttl = '1d'); or accept it: WITH (allow_unbounded_state).
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM items WHERE price > 1 OR item IN (SELECT item FROM stock)
=>
ERROR 0A000: IN (SELECT …) here is not supported yet
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item FROM items WHERE price > 1 OR item IN (SELECT item FROM st…
                                                                                ^
HINT: It may stand in WHERE, as a condition of its own or with AND.
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM items WHERE item IN (SELECT item, quantity FROM stock)
=>
ERROR 42601: subquery must return only one column
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item FROM items WHERE item IN (SELECT item, quantity FROM stock…
                                                                            ^
HINT: Read what was expected at the marked place; docs/sql.md has the grammar.
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM items WHERE price > (SELECT quantity FROM stock)
=>
ERROR 0A000: a query as a value must give one row
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT item FROM items WHERE price > (SELECT quantity FROM stock)
                                                                            ^
HINT: Aggregate without GROUP BY, or ORDER BY … LIMIT 1.
----
CREATE MATERIALIZED VIEW v AS SELECT item FROM items WHERE EXISTS (SELECT 1 FROM stock WHERE nothing = 1)
=>
ERROR 42703: column "nothing" does not exist
LINE 1: …CT item FROM items WHERE EXISTS (SELECT 1 FROM stock WHERE nothing = 1)
                                                                    ^
HINT: DESCRIBE lists the columns of a stream, table or view.
----
CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n, (SELECT max(stock) FROM items) AS m FROM items
=>
ERROR 0A000: a query as a value beside GROUP BY is not supported yet
LINE 1: CREATE MATERIALIZED VIEW v AS SELECT count(*) AS n, (SELECT max(stock) FROM items) AS m FROM items
                                      ^
HINT: Put the grouping into a derived table.
