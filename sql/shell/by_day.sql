-- Orders a day.
SELECT CAST(created_at AS DATE) AS day, count(*) AS orders, sum(amount) AS amount, round(avg(price), 4) AS price
FROM orders
GROUP BY CAST(created_at AS DATE)
ORDER BY day;
