-- How was each day? Late orders are in the day when they were made, not in the one when they came.
SELECT CAST(created_at AS DATE) AS day, count(*) AS orders,
       count(*) FILTER (WHERE _kafka_timestamp - created_at >= INTERVAL '1' HOUR) AS late,
       round(sum(amount), 2) AS amount
FROM shop.orders
GROUP BY day
ORDER BY day;
