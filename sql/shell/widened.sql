-- A filter on a column that was an int in half of the files.
SELECT order_id, quantity FROM orders
WHERE quantity IN (3, 1099511628376) OR quantity > 1099511628800
ORDER BY order_id;
