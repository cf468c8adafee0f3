-- The newest partners of each CD.
CREATE MATERIALIZED VIEW partners AS
  SELECT item, partners FROM (
    SELECT item, partners, row_number() OVER (PARTITION BY item ORDER BY version DESC) AS place
    FROM advice WHERE customer IS NULL)
  WHERE place = 1;

-- What each customer is shown next to each CD just bought.
CREATE MATERIALIZED VIEW recommendations AS
  SELECT customer, item, partners, bought_at FROM (
    SELECT customer, item, partners, bought_at, row_number() OVER (PARTITION BY customer, item ORDER BY seq DESC) AS place
    FROM advice WHERE customer IS NOT NULL)
  WHERE place = 1;
