-- The first and last moment of a partition, and nothing between.
SELECT order_id FROM orders
WHERE created_at = '2026-01-02T00:00:00Z' OR created_at = '2026-01-02T16:30:00Z' OR created_at > '2026-01-11T16:20:00Z'
ORDER BY order_id;
