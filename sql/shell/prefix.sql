-- Texts by their beginning, and with quotation marks.
SELECT customer, count(*) AS orders FROM orders
WHERE customer LIKE 'ann%' OR customer = 'it''s "c"'
GROUP BY customer
ORDER BY customer;
