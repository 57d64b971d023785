-- Deletes by value apply where their columns are not asked for, and after row groups were left out.
SELECT reason FROM returns WHERE id BETWEEN 245 AND 310 OR id = 7 OR id = 801 OR id = 999;
