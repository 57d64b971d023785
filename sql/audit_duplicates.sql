-- Offsets that are in the tables more often than once.
--
-- A row: the topic partition's offset `kafka_offset` is there `copies` times, where `found` says.
--   table         twice or more among the table's rows;
--   dead letters  twice or more among the dead letters of one job;
--   both          in the table and a dead letter, though the ledger has no redrive that put it there.
-- Who needs it: anyone who sums or counts over the table. No rows: every record is there at most once.
-- Mind: a topic that was deleted, created again and adopted starts again at offset 0. Look at such a table in two
-- parts, before and after the adoption, by _kafka_timestamp.

SELECT 'table' AS found, _kafka_topic AS topic, _kafka_partition AS kafka_partition, _kafka_offset AS kafka_offset,
       count(*) AS copies
FROM main_table
GROUP BY _kafka_topic, _kafka_partition, _kafka_offset
HAVING count(*) > 1

UNION ALL

SELECT 'dead letters', topic, "partition", "offset", count(*)
FROM dead_letters
GROUP BY job, topic, "partition", "offset"
HAVING count(*) > 1

UNION ALL

SELECT 'both', d.topic, d."partition", d."offset", 2
FROM (SELECT DISTINCT topic, "partition", "offset" FROM dead_letters) d
JOIN (SELECT DISTINCT _kafka_topic, _kafka_partition, _kafka_offset FROM main_table) t
  ON t._kafka_topic = d.topic AND t._kafka_partition = d."partition" AND t._kafka_offset = d."offset"
WHERE NOT EXISTS (
    SELECT 1
    FROM ledger l
    WHERE l.kind = 'redrive' AND l.topic = d.topic AND l."partition" = d."partition"
      AND l.start_offset <= d."offset" AND d."offset" < l.end_offset
)
ORDER BY 1, 2, 3, 4;
