-- What is left after deletes by position and by value.
SELECT id, reason FROM returns ORDER BY id, reason;
