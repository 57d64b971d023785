-- Lists, taken apart.
SELECT tag, count(*) AS orders
FROM (SELECT unnest(tags) AS tag FROM orders) AS taken_apart
GROUP BY tag
ORDER BY tag;
