-- Each record is in the table once.
SELECT _kafka_partition, _kafka_offset, count(*) AS rows
FROM orders
GROUP BY _kafka_partition, _kafka_offset
HAVING count(*) > 1
