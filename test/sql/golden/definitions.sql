CREATE STREAM s (id bigint NOT NULL, at timestamptz, day text GENERATED ALWAYS AS (to_char(at, 'YYYY-MM-DD')) STORED, WATERMARK FOR at AS at - INTERVAL '1 minute') WITH (topic = 'events', key = 'id', on_invalid = 'reject')
=>
{"kind":"stream","topic":"events","mode":"append","key":null,"appendOnly":true,"time":{"column":1,"delayMs":60000},"onInvalid":"reject","columns":[{"name":"id","type":{"kind":"bigint"},"nullable":false},{"name":"at","type":{"kind":"timestamptz"},"nullable":true},{"name":"day","type":{"kind":"text"},"nullable":true}]}
----
CREATE TABLE t (a int, b text, c varchar(10)[], PRIMARY KEY (a, b)) WITH (partitions = 3, retention.ms = 1000)
=>
{"kind":"table","topic":"t","mode":"upsert","key":[0,1],"appendOnly":false,"time":null,"onInvalid":"quarantine","columns":[{"name":"a","type":{"kind":"int"},"nullable":false},{"name":"b","type":{"kind":"text"},"nullable":false},{"name":"c","type":{"kind":"array","of":{"kind":"varchar","length":10}},"nullable":true}]}
----
CREATE STREAM s (a int, a text)
=>
ERROR 42701: column "a" specified more than once
LINE 1: CREATE STREAM s (a int, a text)
                                ^
HINT: Give each column its own name with AS.
----
CREATE STREAM s (a integr)
=>
ERROR 42704: type "integr" does not exist
LINE 1: CREATE STREAM s (a integr)
                           ^
HINT: Perhaps you meant integer.
----
CREATE STREAM s (a int PRIMARY KEY)
=>
ERROR 42P16: a stream has no PRIMARY KEY: all its events are kept
LINE 1: CREATE STREAM s (a int PRIMARY KEY)
                         ^
HINT: CREATE TABLE keeps the latest row per key; WITH (key = 'column') chooses what a stream is partitioned by.
----
CREATE TABLE t (a int)
=>
ERROR 42P16: a table needs a PRIMARY KEY
LINE 1: CREATE TABLE t (a int)
                     ^
HINT: Add PRIMARY KEY to a column, or PRIMARY KEY (a, b); for plain events use CREATE STREAM.
----
CREATE STREAM s (a numeric(2,5))
=>
ERROR 22023: NUMERIC scale 5 must be between 0 and precision 2
LINE 1: CREATE STREAM s (a numeric(2,5))
                           ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE STREAM s (a int, WATERMARK FOR a AS a)
=>
ERROR 42804: event time must be of type timestamptz or timestamp
LINE 1: CREATE STREAM s (a int, WATERMARK FOR a AS a)
                                              ^
HINT: Cast one side explicitly: CAST(x AS type) or x::type.
----
CREATE STREAM s (a timestamptz, WATERMARK FOR a AS a + INTERVAL '1 second')
=>
{"kind":"stream","topic":"s","mode":"append","key":null,"appendOnly":true,"time":{"column":0,"delayMs":0},"onInvalid":"quarantine","columns":[{"name":"a","type":{"kind":"timestamptz"},"nullable":true}]}
----
CREATE STREAM s (a timestamptz, b boolean, WATERMARK FOR a AS CASE WHEN b THEN a END)
=>
{"kind":"stream","topic":"s","mode":"append","key":null,"appendOnly":true,"time":{"column":0,"delayMs":0},"onInvalid":"quarantine","columns":[{"name":"a","type":{"kind":"timestamptz"},"nullable":true},{"name":"b","type":{"kind":"boolean"},"nullable":true}]}
----
CREATE STREAM s (a timestamptz, b boolean, WATERMARK FOR a AS b)
=>
ERROR 42804: the watermark of this stream is said by an expression that is of type boolean, not timestamptz
LINE 1: CREATE STREAM s (a timestamptz, b boolean, WATERMARK FOR a AS b)
                                                                      ^
HINT: Cast one side explicitly: CAST(x AS type) or x::type.
----
CREATE STREAM s (a timestamptz, WATERMARK FOR a AS now() - INTERVAL '5 seconds')
=>
ERROR 0A000: a watermark that does not follow from the row
LINE 1: CREATE STREAM s (a timestamptz, WATERMARK FOR a AS now() - INTERVAL '5 seconds')
                                                           ^
HINT: What is late must not depend on when a row is read: compute it from columns of the row.
----
CREATE STREAM s (a timestamptz, WATERMARK FOR a AS max(a))
=>
ERROR 42803: aggregate functions are not allowed in WATERMARK
LINE 1: CREATE STREAM s (a timestamptz, WATERMARK FOR a AS max(a))
                                                           ^
HINT: Add the column to GROUP BY, or put it inside an aggregate.
----
CREATE STREAM s (a timestamptz, WATERMARK FOR a AS a - INTERVAL '1 month')
=>
ERROR 22023: the delay of a watermark is an interval of whole milliseconds, without months
LINE 1: CREATE STREAM s (a timestamptz, WATERMARK FOR a AS a - INTERVAL '1 month')
                                                               ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE STREAM s (a int) WITH (partition = 3)
=>
ERROR 22023: there is no option partition
LINE 1: CREATE STREAM s (a int) WITH (partition = 3)
                                      ^
HINT: Perhaps you meant partitions.
----
CREATE STREAM s (a int) WITH (format = 'avro')
=>
{"kind":"stream","topic":"s","mode":"append","key":null,"appendOnly":true,"time":null,"onInvalid":"quarantine","columns":[{"name":"a","type":{"kind":"int"},"nullable":true}]}
----
CREATE STREAM s (a int) WITH (key = 'b')
=>
ERROR 42703: column "b" is not among the columns
LINE 1: CREATE STREAM s (a int) WITH (key = 'b')
                                            ^
HINT: DESCRIBE lists the columns of a stream, table or view.
----
CREATE STREAM s (a int, b text GENERATED ALWAYS AS (a + 1))
=>
{"kind":"stream","topic":"s","mode":"append","key":null,"appendOnly":true,"time":null,"onInvalid":"quarantine","columns":[{"name":"a","type":{"kind":"int"},"nullable":true},{"name":"b","type":{"kind":"text"},"nullable":true}]}
----
CREATE STREAM s (a char(3))
=>
ERROR 0A000: the type char(n), padded with blanks, is not supported
LINE 1: CREATE STREAM s (a char(3))
                           ^
HINT: Use text or varchar(n).
----
CREATE STREAM s (_offset int)
=>
ERROR 42P16: "_offset" is the name of a pseudo-column
LINE 1: CREATE STREAM s (_offset int)
                         ^
HINT: It is there without being declared.
----
CREATE STREAM s (a int DEFAULT 5)
=>
ERROR 0A000: DEFAULT of a column is not supported yet
LINE 1: CREATE STREAM s (a int DEFAULT 5)
                               ^
HINT: docs/sql.md lists what works today.
