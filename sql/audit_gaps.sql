-- Offsets that no range of the ledger accounts for, and offsets that two ranges claim.
--
-- A row: in the topic partition of a job, the offsets from `start_offset` up to, not including, `end_offset` are
--   gap        between two ranges, and neither read nor declared lost;
--   no anchor  read, though the ledger does not say that reading started there;
--   overlap    claimed by two appends, so that their records may be in the table twice.
-- A row without a topic partition, `begun anew`: the ledger does not begin with an anchor, because somebody dropped
-- it. Its `reason` says up to which snapshot it has nothing.
-- Who needs it: whoever must show that nothing of a topic was left out. No rows: from its anchor on, the ranges of
-- each topic partition meet. (A backfill that is under way has its own anchor, and no gap to what lies ahead of it.)
--
-- Ranges of snapshots that a rewind or declare-lost abandoned (those between its `abandons_since` and itself) claim
-- nothing, and a replace takes back what lies at or above its start: the log was cut there. A declare-lost may cover
-- what an append claims: offsets without a row, which nobody can tell from lost ones after a rollback.

WITH standing AS (
    SELECT *
    FROM ledger l
    WHERE NOT EXISTS (
        SELECT 1
        FROM ledger w
        WHERE w.abandons_since < l.sequence_number AND l.sequence_number < w.sequence_number
    )
),
claims AS (
    SELECT s.job, s.topic, s.topic_id, s."partition", s.kind,
           -- A log that was cut below its anchor starts there.
           CASE WHEN s.kind = 'anchor' THEN least(s.start_offset, coalesce(min(cut.start_offset), s.start_offset))
                ELSE s.start_offset END AS start_offset,
           least(s.end_offset, coalesce(min(cut.start_offset), s.end_offset)) AS end_offset
    FROM standing s
    LEFT JOIN standing cut
      ON cut.kind = 'replace' AND cut.sequence_number > s.sequence_number
     AND cut.job = s.job AND cut.topic = s.topic AND cut."partition" = s."partition"
     AND cut.topic_id IS NOT DISTINCT FROM s.topic_id
    WHERE s.kind IN ('anchor', 'append', 'declare-lost') AND s.start_offset IS NOT NULL
      -- An anchor that is not empty is what an adoption gave up of the topic before, under the new topic's id.
      AND (s.kind <> 'anchor' OR s.start_offset = s.end_offset)
    GROUP BY s.job, s.topic, s.topic_id, s."partition", s.kind, s.sequence_number, s.start_offset, s.end_offset
),
beside_all AS (
    SELECT *,
           -- At equal starts the empty range of an anchor comes first.
           max(end_offset) OVER (
               PARTITION BY job, topic, topic_id, "partition" ORDER BY start_offset, end_offset
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
           ) AS reached
    FROM claims
    WHERE start_offset < end_offset OR (kind = 'anchor' AND start_offset = end_offset)
),
beside_appends AS (
    SELECT *,
           max(end_offset) OVER (
               PARTITION BY job, topic, topic_id, "partition" ORDER BY start_offset, end_offset
               ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
           ) AS reached
    FROM claims
    WHERE kind = 'append' AND start_offset < end_offset
)
SELECT 'gap' AS finding, job, topic, "partition" AS kafka_partition, reached AS start_offset,
       start_offset AS end_offset
FROM beside_all
WHERE kind <> 'anchor' AND start_offset > reached

UNION ALL

SELECT 'no anchor', job, topic, "partition", start_offset, end_offset
FROM beside_all
WHERE kind <> 'anchor' AND reached IS NULL

UNION ALL

SELECT 'overlap', job, topic, "partition", start_offset, least(end_offset, reached)
FROM beside_appends
WHERE start_offset < reached

UNION ALL

SELECT DISTINCT 'begun anew', NULL, NULL, NULL, NULL, NULL
FROM ledger
WHERE sequence_number = (SELECT min(sequence_number) FROM ledger) AND kind <> 'anchor'
ORDER BY 2, 3, 4, 5, 1;
