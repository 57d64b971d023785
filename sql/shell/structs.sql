-- Fields of structs, one of which older files do not have.
SELECT address['city'] AS city, address['country'] AS country, count(*) AS orders
FROM orders
GROUP BY address['city'], address['country']
ORDER BY orders, city, country;
