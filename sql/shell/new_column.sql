-- A filter on a column that most files do not have.
SELECT order_id, note, quantity FROM orders
WHERE note LIKE 'note 7%' OR (note IS NULL AND order_id < 3)
ORDER BY order_id;
