SELECT _kafka_partition, _kafka_offset, id, customer
FROM orders
WHERE id IS NULL OR customer IS NULL OR customer = ''
