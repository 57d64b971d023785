-- How far each topic partition has come, and when.
--
-- A row, for each job and topic partition: the table holds everything below `progress`, but for history that a backfill has
-- yet to fill; the last snapshot that moved it
-- is of `last_commit`, `seconds_since_commit` ago; its newest record was made at `newest_record`, and was in the table
-- `seconds_to_commit` after that.
-- Who needs it: whoever is asked whether the table is current. It reports, and judges nothing: a partition without new
-- records commits nothing, and is current all the same. Lag against the topic itself only the broker can tell.

WITH standing AS (
    SELECT *
    FROM ledger l
    -- What a rewind or declare-lost abandoned moved nothing.
    WHERE NOT EXISTS (
        SELECT 1
        FROM ledger w
        WHERE w.abandons_since < l.sequence_number AND l.sequence_number < w.sequence_number
    )
),
claims AS (
    -- A replace took back what lies at or above its start: the log was cut there.
    SELECT s.job, s.topic, s."partition", s.committed_at,
           least(s.end_offset, coalesce(min(cut.start_offset), s.end_offset)) AS end_offset
    FROM standing s
    LEFT JOIN standing cut
      ON cut.kind = 'replace' AND cut.sequence_number > s.sequence_number
     AND cut.job = s.job AND cut.topic = s.topic AND cut."partition" = s."partition"
     AND cut.topic_id IS NOT DISTINCT FROM s.topic_id
    WHERE s.kind IN ('anchor', 'append', 'declare-lost') AND s.start_offset IS NOT NULL
    GROUP BY s.job, s.topic, s."partition", s.committed_at, s.sequence_number, s.start_offset, s.end_offset
),
moved AS (
    SELECT job, topic, "partition", max(end_offset) AS progress, max(committed_at) AS last_commit
    FROM claims
    GROUP BY job, topic, "partition"
),
newest AS (
    SELECT _kafka_topic, _kafka_partition, max(_kafka_timestamp) AS newest_record
    FROM main_table
    GROUP BY _kafka_topic, _kafka_partition
)
SELECT m.job, m.topic, m."partition" AS kafka_partition, m.progress, m.last_commit,
       extract(epoch FROM current_timestamp - m.last_commit) AS seconds_since_commit,
       n.newest_record,
       extract(epoch FROM m.last_commit - n.newest_record) AS seconds_to_commit
FROM moved m
LEFT JOIN newest n ON n._kafka_topic = m.topic AND n._kafka_partition = m."partition"
ORDER BY m.job, m.topic, m."partition";
