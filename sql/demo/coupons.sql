-- What became of the field that nobody announced? Orders before it have none.
SELECT coupon, count(*) AS orders, min(order_id) AS first_order, round(sum(amount), 2) AS amount
FROM shop.orders
GROUP BY coupon
ORDER BY orders DESC;
