-- Every row and type, over files that were written before and after columns were added, widened and nested deeper.
SELECT * FROM orders ORDER BY order_id;
