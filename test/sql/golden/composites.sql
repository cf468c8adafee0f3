CREATE STREAM events (kind int, bid STRUCT<auction bigint, price numeric(10,2), at timestamp, tags text[], who STRUCT<id int, name text>>,
  person ROW(id bigint, at timestamp), at timestamp GENERATED ALWAYS AS (CASE kind WHEN 2 THEN (bid).at ELSE (person).at END),
  WATERMARK FOR at AS at - INTERVAL '4 seconds') WITH (topic = 'all');
CREATE MATERIALIZED VIEW v AS SELECT (bid).AUCTION, (e.bid).who, ((bid).who).name AS n, (bid).who.id AS i FROM events e WHERE kind = 2 AND (bid).price > 3;
CREATE MATERIALIZED VIEW w AS SELECT (who).name, count(*) AS n FROM v WHERE (who).id > 1 GROUP BY (who).name
=>
{"kind":"stream","topic":"all","mode":"append","key":null,"appendOnly":true,"time":{"column":3,"delayMs":4000},"onInvalid":"quarantine","columns":[{"name":"kind","type":{"kind":"int"},"nullable":true},{"name":"bid","type":{"kind":"composite","fields":[{"name":"auction","type":{"kind":"bigint"},"nullable":true},{"name":"price","type":{"kind":"numeric","precision":10,"scale":2},"nullable":true},{"name":"at","type":{"kind":"timestamp"},"nullable":true},{"name":"tags","type":{"kind":"array","of":{"kind":"text"}},"nullable":true},{"name":"who","type":{"kind":"composite","fields":[{"name":"id","type":{"kind":"int"},"nullable":true},{"name":"name","type":{"kind":"text"},"nullable":true}]},"nullable":true}]},"nullable":true},{"name":"person","type":{"kind":"composite","fields":[{"name":"id","type":{"kind":"bigint"},"nullable":true},{"name":"at","type":{"kind":"timestamp"},"nullable":true}]},"nullable":true},{"name":"at","type":{"kind":"timestamp"},"nullable":true}]}
View v: rows are only ever added
  Project
       bid.auction as auction, bid.who as who, bid.who.name as n, bid.who.id as i
    -> Filter
            where (kind = 2) and (bid.price > 3.00)
      -> Events of events (topic all)
              reads kind int, at timestamp, bid.auction bigint, bid.price numeric(10,2), bid.at timestamp, bid.who struct<id int, name text>, person.at timestamp, bid.who.id int, bid.who.name text
              watermark: at - 4000 ms
View w: newest row per key (name)
  Project
       name, count as n
    -> Aggregate by name
            count(*)
            emits whenever a result changes
            state: one entry per group, for as long as the view lives; on disk where memory has no room
      -> Project
              (who).name as name
        -> Filter
                where (who).id > 1
          -> Events of v
                  reads who struct<id int, name text>
                  watermark: record timestamp
----
CREATE STREAM events (bid STRUCT<auction bigint>); CREATE MATERIALIZED VIEW v AS SELECT bid.auction FROM events
=>
ERROR 42P01: missing FROM-clause entry for table "bid"
LINE 1: …UCT<auction bigint>); CREATE MATERIALIZED VIEW v AS SELECT bid.auction FROM events
                                                                    ^
HINT: Reach into the column with (bid).auction.
----
CREATE STREAM events (bid STRUCT<auction bigint>); CREATE MATERIALIZED VIEW v AS SELECT (bid).actuon FROM events
=>
ERROR 42703: field "actuon" does not exist
LINE 1: …ction bigint>); CREATE MATERIALIZED VIEW v AS SELECT (bid).actuon FROM events
                                                                    ^
HINT: Perhaps you meant auction.
----
CREATE STREAM events (bid STRUCT<auction bigint>, n int); CREATE MATERIALIZED VIEW v AS SELECT (n).x FROM events
=>
ERROR 42804: column notation .x applied to type int, which is not a composite type
LINE 1: … bigint>, n int); CREATE MATERIALIZED VIEW v AS SELECT (n).x FROM events
                                                                    ^
HINT: Cast one side explicitly: CAST(x AS type) or x::type.
----
CREATE STREAM events (bid STRUCT<a bigint, a int>)
=>
ERROR 42701: field "a" specified more than once
LINE 1: CREATE STREAM events (bid STRUCT<a bigint, a int>)
                                                   ^
HINT: Give each column its own name with AS.
----
CREATE STREAM events (bid STRUCT<a STRUCT<b STRUCT<c int>>>, d int[])
=>
{"kind":"stream","topic":"events","mode":"append","key":null,"appendOnly":true,"time":null,"onInvalid":"quarantine","columns":[{"name":"bid","type":{"kind":"composite","fields":[{"name":"a","type":{"kind":"composite","fields":[{"name":"b","type":{"kind":"composite","fields":[{"name":"c","type":{"kind":"int"},"nullable":true}]},"nullable":true}]},"nullable":true}]},"nullable":true},{"name":"d","type":{"kind":"array","of":{"kind":"int"}},"nullable":true}]}
