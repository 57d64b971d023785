-- Readers rely on these.
SELECT DISTINCT arrow_typeof(id) AS id, arrow_typeof(amount) AS amount, arrow_typeof(paid) AS paid
FROM orders
