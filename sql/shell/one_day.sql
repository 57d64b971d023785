-- One partition, by its time.
SELECT order_id, created_at FROM orders
WHERE created_at >= '2026-01-03T00:00:00Z' AND created_at < '2026-01-04T00:00:00Z'
ORDER BY order_id;
