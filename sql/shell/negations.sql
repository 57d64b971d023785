-- NOT, and what it means for nulls.
SELECT order_id, customer, price FROM orders
WHERE NOT (customer = 'ann' OR price > 20) AND customer IS NOT NULL AND NOT order_id BETWEEN 10 AND 40
ORDER BY order_id;
