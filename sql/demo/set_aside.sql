-- What was set aside, and why? Each dead letter is kept as it came.
SELECT reason, count(*) AS orders, min(detail) AS "for example"
FROM shop.orders__dead_letters
GROUP BY reason
ORDER BY orders DESC;
