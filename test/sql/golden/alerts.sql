CREATE ALERT big AS SELECT customerid, amount FROM purchases WHERE amount > 1000 NOTIFY WEBHOOK 'https://example.com/hook' SECRET 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', LOG, CONSOLE KEY (customerid) EVERY INTERVAL '1 hour' MESSAGE '{customerId} spent {amount} {{net}}'
=>
View "_millrace_alert.big": rows are only ever added
  Project
       customerId, amount
    -> Filter
            where amount > 1000.00
      -> Events of purchases
              reads customerId text, amount numeric(12,2), bought_at timestamptz
              watermark: bought_at - 5000 ms
{
  "name": "big",
  "destinations": [
    {
      "kind": "webhook",
      "url": "https://example.com/hook",
      "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    },
    {
      "kind": "log"
    },
    {
      "kind": "console"
    }
  ],
  "key": [
    "customerId"
  ],
  "everyMs": 3600000,
  "message": [
    {
      "column": 0
    },
    " spent ",
    {
      "column": 1
    },
    " ",
    "{",
    "net",
    "}"
  ]
}
----
CREATE ALERT low AS SELECT item, stock FROM items WHERE stock < 5 NOTIFY CONSOLE
=>
View "_millrace_alert.low": newest row per key (item)
  Filter
       where stock < 5
    -> Newest rows per item of items
            reads item text, stock int
            watermark: record timestamp
            state: one row per key; on disk where memory has no room
{
  "name": "low",
  "destinations": [
    {
      "kind": "console"
    }
  ],
  "key": [],
  "everyMs": null,
  "message": null
}
----
CREATE ALERT a AS SELECT item FROM items NOTIFY WEBHOOK 'ftp://example.com'
=>
ERROR 22023: a webhook is an http or https URL
LINE 1: CREATE ALERT a AS SELECT item FROM items NOTIFY WEBHOOK 'ftp://example.com'
                                                        ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE ALERT a AS SELECT item FROM items NOTIFY LOG KEY (itm)
=>
ERROR 42703: column "itm" is not in the SELECT list of the alert
LINE 1: CREATE ALERT a AS SELECT item FROM items NOTIFY LOG KEY (itm)
                                                                 ^
HINT: Perhaps you meant item.
----
CREATE ALERT a AS SELECT item FROM items NOTIFY LOG EVERY INTERVAL '1 month'
=>
ERROR 22007: EVERY needs a positive interval without months, not '1 month'
LINE 1: CREATE ALERT a AS SELECT item FROM items NOTIFY LOG EVERY INTERVAL '1 month'
                                                                  ^
HINT: Times are ISO 8601 (2026-01-31T12:00:00Z); intervals like 1 day 2 hours.
----
CREATE ALERT a AS SELECT item FROM items NOTIFY LOG MESSAGE '{stock} is low'
=>
ERROR 42703: column "stock" is not in the SELECT list of the alert
LINE 1: CREATE ALERT a AS SELECT item FROM items NOTIFY LOG MESSAGE '{stock} is low'
                                                                    ^
HINT: Columns here are item.
----
CREATE ALERT a AS SELECT item FROM items NOTIFY EMAIL 'x'
=>
ERROR 42601: syntax error at or near "EMAIL", expected WEBHOOK, LOG or CONSOLE
LINE 1: CREATE ALERT a AS SELECT item FROM items NOTIFY EMAIL 'x'
                                                        ^
HINT: Read what was expected at the marked place; docs/sql.md has the grammar.
EXPECTED: WEBHOOK, LOG, CONSOLE
----
CREATE ALERT a AS SELECT item FROM items
=>
ERROR 42601: syntax error at end of input, expected NOTIFY
LINE 1: CREATE ALERT a AS SELECT item FROM items
                                                ^
HINT: Read what was expected at the marked place; docs/sql.md has the grammar.
EXPECTED: NOTIFY
----
CREATE ALERT a AS SELECT item FROM items NOTIFY LOG KEY (item) KEY (item)
=>
ERROR 42601: KEY may be given once
LINE 1: CREATE ALERT a AS SELECT item FROM items NOTIFY LOG KEY (item) KEY (item)
                                                                       ^
HINT: Read what was expected at the marked place; docs/sql.md has the grammar.
----
CREATE ALERT a AS SELECT item FROM items NOTIFY WEBHOOK 'https://example.com/hook' SECRET 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' WITH (secret.previous = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx', retry.for = '24h', retry.attempts = 40, handshake = 'shop.example.com', header.Authorization = 'Bearer t', 'header.x-team' = 'shop'), LOG
=>
View "_millrace_alert.a": newest row per key (item)
  Newest rows per item of items
       reads item text
       watermark: record timestamp
       state: one row per key; on disk where memory has no room
{
  "name": "a",
  "destinations": [
    {
      "kind": "webhook",
      "url": "https://example.com/hook",
      "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
      "previousSecret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx",
      "headers": {
        "authorization": "Bearer t",
        "x-team": "shop"
      },
      "retryForMs": 86400000,
      "attempts": 40,
      "handshake": "shop.example.com"
    },
    {
      "kind": "log"
    }
  ],
  "key": [],
  "everyMs": null,
  "message": null
}
----
CREATE ALERT a AS SELECT item FROM items NOTIFY WEBHOOK 'https://example.com/hook' WITH (secret.previous = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx')
=>
ERROR 22023: secret.previous stands beside SECRET, the new one
LINE 1: …WEBHOOK 'https://example.com/hook' WITH (secret.previous = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx')
                                                                    ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE ALERT a AS SELECT item FROM items NOTIFY WEBHOOK 'https://example.com/hook' WITH (retry.for = '8d')
=>
ERROR 22023: retry.for is at most 7 days
LINE 1: …OTIFY WEBHOOK 'https://example.com/hook' WITH (retry.for = '8d')
                                                                    ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE ALERT a AS SELECT item FROM items NOTIFY WEBHOOK 'https://example.com/hook' WITH (retry.four = '1d')
=>
ERROR 22023: there is no option retry.four
LINE 1: …FROM items NOTIFY WEBHOOK 'https://example.com/hook' WITH (retry.four = '1d')
                                                                    ^
HINT: Perhaps you meant retry_for.
----
CREATE ALERT a AS SELECT item FROM items NOTIFY WEBHOOK 'https://example.com/hook' WITH (retention.ms = '1000')
=>
ERROR 22023: retention.ms is a setting of topics, not of webhooks
LINE 1: …FY WEBHOOK 'https://example.com/hook' WITH (retention.ms = '1000')
                                                                    ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE ALERT a AS SELECT item FROM items NOTIFY WEBHOOK 'https://example.com/hook' WITH (handshake = 'shop example')
=>
ERROR 22023: handshake is a DNS name
LINE 1: …OTIFY WEBHOOK 'https://example.com/hook' WITH (handshake = 'shop example')
                                                                    ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE ALERT a AS SELECT item FROM items NOTIFY WEBHOOK 'https://example.com/hook' WITH (header.host = 'elsewhere')
=>
ERROR 22023: the header host is not yours to set
LINE 1: …FROM items NOTIFY WEBHOOK 'https://example.com/hook' WITH (header.host = 'elsewhere')
                                                                    ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE ALERT a AS SELECT item FROM items NOTIFY WEBHOOK 'https://example.com/hook' WITH ('header.a b' = 'x')
=>
ERROR 22023: header.a b names no HTTP header
LINE 1: …FROM items NOTIFY WEBHOOK 'https://example.com/hook' WITH ('header.a b' = 'x')
                                                                    ^
HINT: docs/sql.md lists the settings and their values.
----
CREATE ALERT a AS SELECT item FROM items NOTIFY WEBHOOK 'https://example.com/hook' WITH (header.a = 'x', header.A = 'y')
=>
ERROR 22023: the header a is given twice
LINE 1: …Y WEBHOOK 'https://example.com/hook' WITH (header.a = 'x', header.A = 'y')
                                                                    ^
HINT: docs/sql.md lists the settings and their values.
----
ALTER ALERT a NOTIFY
=>
ERROR 42601: syntax error at end of input, expected WEBHOOK, LOG or CONSOLE
LINE 1: ALTER ALERT a NOTIFY
                            ^
HINT: Read what was expected at the marked place; docs/sql.md has the grammar.
EXPECTED: WEBHOOK, LOG, CONSOLE
----
ALTER ALERT a TELL LOG
=>
ERROR 0A000: ALTER … TELL is not supported yet
LINE 1: ALTER ALERT a TELL LOG
                      ^
HINT: Whom it tells is changed by ALTER ALERT name NOTIFY …; for another query drop it and make it again.
