-- Topic partitions whose rows are not as many as the ledger says.
--
-- A row: `table_rows` rows of the topic partition are in the table and `table_dead_letters` in its dead-letter table,
-- but by the ledger there are `ledger_rows` and `ledger_dead_letters`; or, with finding `range`, a ledger row counts
-- more records than its range has offsets.
-- Who needs it: whoever trusts the table's sums, and whoever restores or moves it. No rows: all counts agree.
-- Mind: a table from which somebody else deletes rows (`DELETE`) has fewer rows than its ledger says, and should. A difference that grows by each delete is theirs; any other is not.
--
-- Snapshots that a rewind or declare-lost abandoned do not count, except that a declare-lost keeps their dead letters.
-- A replace, a retention and a withdraw (of a repair) count what they removed. A redriven record is a row and stays a dead letter.

WITH judged AS (
    SELECT l.*,
           EXISTS (
               SELECT 1 FROM ledger w
               WHERE w.abandons_since < l.sequence_number AND l.sequence_number < w.sequence_number
           ) AS abandoned,
           EXISTS (
               SELECT 1 FROM ledger w
               WHERE w.kind = 'rewind'
                 AND w.abandons_since < l.sequence_number AND l.sequence_number < w.sequence_number
           ) AS rewound
    FROM ledger l
    WHERE l.start_offset IS NOT NULL
),
by_ledger AS (
    SELECT topic, "partition",
           CAST(sum(CASE WHEN abandoned THEN 0 WHEN kind IN ('replace', 'retention', 'withdraw') THEN -"rows" ELSE "rows" END) AS BIGINT)
               AS ledger_rows,
           CAST(sum(CASE WHEN rewound THEN 0 WHEN kind IN ('replace', 'withdraw') THEN -dead_letters ELSE dead_letters END) AS BIGINT)
               AS ledger_dead_letters
    FROM judged
    GROUP BY topic, "partition"
),
by_table AS (
    SELECT _kafka_topic AS topic, _kafka_partition AS "partition", count(*) AS table_rows
    FROM main_table
    GROUP BY _kafka_topic, _kafka_partition
),
by_dead_letters AS (
    SELECT topic, "partition", count(*) AS table_dead_letters
    FROM dead_letters
    GROUP BY topic, "partition"
),
compared AS (
    SELECT coalesce(l.topic, t.topic, d.topic) AS topic,
           coalesce(l."partition", t."partition", d."partition") AS kafka_partition,
           coalesce(t.table_rows, 0) AS table_rows,
           coalesce(l.ledger_rows, 0) AS ledger_rows,
           coalesce(d.table_dead_letters, 0) AS table_dead_letters,
           coalesce(l.ledger_dead_letters, 0) AS ledger_dead_letters
    FROM by_ledger l
    FULL JOIN by_table t ON t.topic = l.topic AND t."partition" = l."partition"
    FULL JOIN by_dead_letters d
      ON d.topic = coalesce(l.topic, t.topic) AND d."partition" = coalesce(l."partition", t."partition")
)
SELECT 'rows' AS finding, *
FROM compared
WHERE table_rows <> ledger_rows OR table_dead_letters <> ledger_dead_letters

UNION ALL

SELECT 'range', topic, "partition", NULL, "rows", NULL, dead_letters
FROM judged
WHERE kind IN ('append', 'declare-lost', 'repair') AND "rows" + dead_letters + filtered + lost > end_offset - start_offset
ORDER BY 2, 3, 1;
