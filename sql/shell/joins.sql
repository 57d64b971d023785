-- Two tables, with deleted rows on one side.
SELECT o.order_id, o.customer, r.reason
FROM orders o
LEFT JOIN returns r ON r.id = o.order_id
WHERE o.order_id < 120
ORDER BY o.order_id, r.reason;
