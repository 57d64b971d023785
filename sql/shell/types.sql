-- Filters on every kind of column.
SELECT order_id FROM orders
WHERE "shipOn" >= DATE '2026-02-04' AND paid AND amount < 650.5 AND price <= 150.75 AND address['city'] = 'Turku'
ORDER BY order_id;
