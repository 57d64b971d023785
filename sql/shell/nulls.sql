-- Nulls: written, missing in older files, and within structs.
SELECT count(*) AS orders, count(price) AS priced, count(note) AS noted, count(address) AS addressed,
       count(address['country']) AS countries, count(tags) AS tagged,
       count(*) FILTER (WHERE note IS NULL) AS without_note
FROM orders;
