-- Counts see deletes too.
SELECT count(*) AS rows_left, min(id) AS lowest, max(id) AS highest, sum(id) AS total FROM returns;
