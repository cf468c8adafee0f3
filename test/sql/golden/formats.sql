CREATE STREAM s (a int) WITH (format = 'avro')
=>
{"kind":"stream","topic":"s","mode":"append","key":null,"appendOnly":true,"time":null,"onInvalid":"quarantine","columns":[{"name":"a","type":{"kind":"int"},"nullable":true}]}
----
CREATE STREAM s WITH (format = 'avro')
=>
ERROR 42P16: a stream needs columns
LINE 1: CREATE STREAM s WITH (format = 'avro')
                      ^
HINT: Declare them in parentheses; with format = 'avro' or 'protobuf' and a schema they may follow from that.
----
CREATE STREAM s
=>
ERROR 42P16: a stream needs columns
LINE 1: CREATE STREAM s
                      ^
HINT: Declare them in parentheses; with format = 'avro' or 'protobuf' and a schema they may follow from that.
----
CREATE STREAM s WITH (format = 'avro', schema = '{"type":"record","name":"R","fields":[{"name":"at","type":{"type":"long","logicalType":"timestamp-micros"}},{"name":"who","type":["null",{"type":"record","name":"W","fields":[{"name":"n","type":"string"},{"name":"up","type":["null","W"]}]}]},{"name":"m","type":{"type":"map","values":"int"}},{"name":"d","type":{"type":"fixed","name":"D","size":8,"logicalType":"decimal","precision":12,"scale":2}},{"name":"tags","type":{"type":"array","items":["null","string"]}},{"name":"u","type":["string","int"]}]}')
=>
{"kind":"stream","topic":"s","mode":"append","key":null,"appendOnly":true,"time":null,"onInvalid":"quarantine","columns":[{"name":"at","type":{"kind":"timestamptz"},"nullable":false},{"name":"who","type":{"kind":"composite","fields":[{"name":"n","type":{"kind":"text"},"nullable":false},{"name":"up","type":{"kind":"jsonb"},"nullable":true}]},"nullable":true},{"name":"m","type":{"kind":"jsonb"},"nullable":false},{"name":"d","type":{"kind":"numeric","precision":12,"scale":2},"nullable":false},{"name":"tags","type":{"kind":"array","of":{"kind":"text"}},"nullable":false},{"name":"u","type":{"kind":"jsonb"},"nullable":false}]}
----
CREATE TABLE t (PRIMARY KEY (id), big numeric GENERATED ALWAYS AS (amount * 2), WATERMARK FOR at AS at) WITH (format = 'protobuf', schema = 'syntax = "proto3"; import "google/protobuf/timestamp.proto"; message P { int64 id = 1; optional double amount = 2; google.protobuf.Timestamp at = 3; repeated E e = 4; map<int32, P> m = 5; enum E { A = 0; } }')
=>
{"kind":"table","topic":"t","mode":"upsert","key":[0],"appendOnly":false,"time":{"column":2,"delayMs":0},"onInvalid":"quarantine","columns":[{"name":"id","type":{"kind":"bigint"},"nullable":false},{"name":"amount","type":{"kind":"double"},"nullable":true},{"name":"at","type":{"kind":"timestamptz"},"nullable":true},{"name":"e","type":{"kind":"array","of":{"kind":"text"}},"nullable":false},{"name":"m","type":{"kind":"jsonb"},"nullable":false},{"name":"big","type":{"kind":"numeric","precision":null,"scale":null},"nullable":true}]}
----
CREATE STREAM s (a int) WITH (schema = '"int"')
=>
ERROR 22023: option schema has no meaning with format = 'json'
LINE 1: CREATE STREAM s (a int) WITH (schema = '"int"')
                                               ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE STREAM s (a int) WITH (format = 'avro', framing = 'none')
=>
ERROR 22023: option framing needs the option schema where it is 'none'
LINE 1: CREATE STREAM s (a int) WITH (format = 'avro', framing = 'none')
                                                                 ^
HINT: Nothing else says how the values were written.
----
CREATE STREAM s (a int) WITH (format = 'avro', message = 'M', schema = '"int"')
=>
ERROR 22023: option message has no meaning with format = 'avro'
LINE 1: CREATE STREAM s (a int) WITH (format = 'avro', message = 'M', schema = '"int"')
                                                                 ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE STREAM s (a int) WITH (format = 'avro', schema = '"int"')
=>
ERROR 22023: option schema cannot be used: events are records
LINE 1: CREATE STREAM s (a int) WITH (format = 'avro', schema = '"int"')
                                                                ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE STREAM s (a int) WITH (format = 'avro', schema = '{"type":"record","name":"R","fields":[{"name":"a","type":"Unknown"}]}')
=>
ERROR 22023: option schema cannot be used: it is no Avro schema: undefined type name: Unknown
LINE 1: CREATE STREAM s (a int) WITH (format = 'avro', schema = '{"type":"record","name":"R","fields":[{"nam…
                                                                ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE STREAM s (a int) WITH (format = 'protobuf', schema = 'message M { optional group G = 1 { optional int32 a = 1; } }')
=>
ERROR 22023: option schema cannot be used: M.g is a group, which is not read
LINE 1: CREATE STREAM s (a int) WITH (format = 'protobuf', schema = 'message M { optional group G = 1 { opti…
                                                                    ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE STREAM s (a int) WITH (format = 'protobuf', schema = 'message M { } message N { }')
=>
ERROR 22023: option schema cannot be used: it has several messages, of which one must be named: M, N
LINE 1: CREATE STREAM s (a int) WITH (format = 'protobuf', schema = 'message M { } message N { }')
                                                                    ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE STREAM s (a int) WITH (format = 'protobuf', schema = 'message M { } message N { }', message = 'O')
=>
ERROR 22023: option schema cannot be used: it has no message O
LINE 1: CREATE STREAM s (a int) WITH (format = 'protobuf', schema = 'message M { } message N { }', message =…
                                                                    ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE STREAM s (a int) WITH (format = 'protobuf', schema = 'import "x.proto"; message M { }')
=>
ERROR 22023: option schema cannot be used: it imports "x.proto", which is not given
LINE 1: CREATE STREAM s (a int) WITH (format = 'protobuf', schema = 'import "x.proto"; message M { }')
                                                                    ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE STREAM s WITH (format = 'protobuf', schema = 'import "x.proto"; message M { optional X x = 1; }', imports = '{"x.proto":"enum X { A = 1; }"}')
=>
{"kind":"stream","topic":"s","mode":"append","key":null,"appendOnly":true,"time":null,"onInvalid":"quarantine","columns":[{"name":"x","type":{"kind":"text"},"nullable":true}]}
----
CREATE STREAM s WITH (format = 'protobuf', schema = 'message M { }', imports = '["x"]')
=>
ERROR 22023: option imports must be a JSON object of texts
LINE 1: CREATE STREAM s WITH (format = 'protobuf', schema = 'message M { }', imports = '["x"]')
                                                                                       ^
HINT: docs/sql.md lists the settings and their values.
