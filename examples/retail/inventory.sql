-- 60 of each CD lie on the shelf at first. When 10 are left, 50 more are ordered and come at once.
CREATE MATERIALIZED VIEW stock AS
  SELECT item, count(*) AS sold, 60 - count(*) % 50 AS on_shelf, count(*) / 50 AS reorders
  FROM sold GROUP BY item;

CREATE MATERIALIZED VIEW reorders AS
  SELECT item, sold_so_far, bought_at FROM (
    SELECT item, bought_at,
      count(*) OVER (PARTITION BY item ORDER BY bought_at ROWS UNBOUNDED PRECEDING) AS sold_so_far
    FROM sold)
  WHERE sold_so_far % 50 = 0;

CREATE ALERT reorder AS SELECT item, sold_so_far, bought_at FROM reorders
  NOTIFY CONSOLE MESSAGE 'CD {item}: 10 are left after {sold_so_far} sold, 50 more are ordered';

-- What the shop earns, day by day, once the day is over.
CREATE MATERIALIZED VIEW daily AS
  SELECT window_start AS day, count(*) AS purchases, sum(cds) AS cds, round(sum(amount)::numeric, 2) AS revenue
  FROM TUMBLE(purchases, bought_at, INTERVAL '1 day') WHERE kind = 'purchase'
  GROUP BY window_start, window_end EMIT ON WINDOW CLOSE;
