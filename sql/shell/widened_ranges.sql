-- Ranges of a column that was an int when half of the files were written.
SELECT order_id, quantity FROM orders
WHERE quantity >= 5 OR quantity < 1
ORDER BY order_id;
