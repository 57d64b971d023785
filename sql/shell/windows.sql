-- Running totals.
SELECT order_id, customer, sum(quantity) OVER (PARTITION BY customer ORDER BY order_id) AS so_far
FROM orders
WHERE order_id < 200
ORDER BY order_id;
