-- A query within a query, and set operations.
SELECT order_id FROM orders WHERE order_id IN (SELECT id FROM returns WHERE reason = 'late') AND NOT paid
EXCEPT
SELECT order_id FROM orders WHERE customer = 'bob';
