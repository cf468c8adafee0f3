-- What the example's views must hold when the marker has passed, as one batch query each, in DuckDB, from the purchases
-- file alone. Nothing here is shared with the example's own code. $FILE is replaced by the path, $LINES by how many of its
-- lines the replay was given.

CREATE MACRO fnv1a(text) AS list_reduce(
  list_prepend(2166136261::UBIGINT, list_transform(string_split(text, ''), lambda c: ascii(c)::UBIGINT)),
  lambda hash, c: (xor(hash, c) * 16777619::UBIGINT) % 4294967296::UBIGINT);

CREATE TABLE lines AS
  SELECT row_number() OVER () AS line, regexp_split_to_array(trim(text), '\s+') AS field
  FROM read_csv('$FILE', columns = {'text': 'VARCHAR'}, delim = '\t', header = true, quote = '', escape = '')
  LIMIT $LINES;

CREATE TABLE purchases AS
  SELECT line, field[1]::INT AS customer, strptime(field[2], '%Y%m%d') AS day, field[3]::INT AS cds,
    field[4]::DECIMAL(12, 2) AS amount,
    row_number() OVER (ORDER BY strptime(field[2], '%Y%m%d'), line) AS seq,
    row_number() OVER (PARTITION BY field[2] ORDER BY line) - 1 AS rank_in_day,
    count(*) OVER (PARTITION BY field[2]) AS in_day
  FROM lines;

CREATE TABLE bought AS
  SELECT line, seq, customer, k,
    CASE WHEN (hash // 25) % 5 = 0 THEN hash % 300 ELSE (customer % 12) * 25 + hash % 25 END::INT AS item
  FROM (SELECT p.*, k, fnv1a(line || ':' || k)::BIGINT AS hash FROM purchases p, range(1, p.cds + 1) AS r(k));

-- Inventory: 60 of each CD at first; when 10 are left, 50 more come.
CREATE TABLE stock AS
  SELECT item, count(*) AS sold, 60 - count(*) % 50 AS on_shelf, count(*) // 50 AS reorders FROM bought GROUP BY item;

-- Recommendations: each pair of items that one customer bought counts once a customer.
CREATE TABLE owned AS SELECT customer, item, min(seq) AS seq FROM bought GROUP BY customer, item;
CREATE TABLE pairs AS
  SELECT a.item, b.item AS partner, greatest(a.seq, b.seq) AS seq
  FROM owned a JOIN owned b ON a.customer = b.customer AND a.item <> b.item;
CREATE TABLE partners AS
  SELECT item, partner, customers, place FROM (
    SELECT *, row_number() OVER (PARTITION BY item ORDER BY customers DESC, partner) AS place
    FROM (SELECT item, partner, count(*) AS customers FROM pairs GROUP BY item, partner))
  WHERE place <= 5;

-- What each customer was shown next to each CD when buying it (the newest time): its partners as they stood then, that
-- purchase included. Of every eighth customer: a batch query must count the past anew for each row.
CREATE TABLE recommendations AS
  WITH asked AS (SELECT customer, item, max(seq) AS seq FROM bought WHERE customer % 8 = 0 GROUP BY customer, item),
  counted AS (
    SELECT a.customer, a.item, p.partner, count(*) AS customers
    FROM asked a JOIN pairs p ON p.item = a.item AND p.seq <= a.seq GROUP BY ALL),
  ranked AS (SELECT *, row_number() OVER (PARTITION BY customer, item ORDER BY customers DESC, partner) AS place FROM counted),
  shown AS (SELECT customer, item, list(partner ORDER BY place) AS partners FROM ranked WHERE place <= 5 GROUP BY customer, item)
  SELECT customer, item, coalesce(partners, []) AS partners FROM asked LEFT JOIN shown USING (customer, item);

-- Fraud: an amount above mean + 4 standard deviations of the customer's earlier purchases, at least 5 of them.
CREATE TABLE unusual AS
  SELECT customer, line, amount, earlier FROM (
    SELECT customer, line, amount,
      count(*) OVER w AS earlier, avg(amount::DOUBLE) OVER w AS mean, stddev_samp(amount::DOUBLE) OVER w AS deviation
    FROM purchases
    WINDOW w AS (PARTITION BY customer ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING))
  WHERE earlier >= 5 AND amount > mean + 4 * deviation;

-- Fraud: three or more purchases of one customer in one day.
CREATE TABLE busy_days AS
  SELECT customer, day, count(*) AS purchases, list(line ORDER BY seq) AS lines
  FROM purchases GROUP BY customer, day HAVING count(*) >= 3;
