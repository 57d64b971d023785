-- Is any order there twice?
SELECT count(*) AS rows, count(DISTINCT order_id) AS different_orders
FROM shop.orders;
