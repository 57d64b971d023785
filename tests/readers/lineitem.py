"""Rows in the shape of TPC-H's `lineitem`, as JSON of 16 fields and about 364 bytes: see bids.py, which says how they are made.

The values are spread as TPC-H's are, but for what needs its other tables. Orders come in the order of their dates, 100,000
rows a day, and are shipped within 121 days, as somebody's topic of them would have it. `lineitem.sql` has the columns.
"""

import bids

FIRST_DAY = "1998-01-01"
ROWS_A_DAY = 100_000

prepare = bids.prepare


def cents(number):
    """A decimal with two digits, of hundredths."""
    return f"({number} // 100) || '.' || lpad(({number} % 100)::VARCHAR, 2, '0')"


def date(days):
    return f"(DATE '{FIRST_DAY}' + ({days})::INTEGER)::VARCHAR"


def values(seed, partition, partitions, start, end):
    """A query for the columns i and value of the rows from `start` up to `end` of a partition."""
    instructions = "['DELIVER IN PERSON', 'COLLECT COD', 'NONE', 'TAKE BACK RETURN']"
    modes = "['REG AIR', 'AIR', 'RAIL', 'SHIP', 'TRUCK', 'MAIL', 'FOB']"
    return f"""
        SELECT i, '{{"l_orderkey":' || (i // 4 * {partitions} + {partition} + 1) || ',"l_partkey":' || part || ',"l_suppkey":' || (1 + part * 7 % 10000)
               || ',"l_linenumber":' || (1 + i % 4) || ',"l_quantity":' || quantity || '.00'
               || ',"l_extendedprice":' || {cents("quantity * (90000 + part % 20001 + 100 * (part % 1000))")}
               || ',"l_discount":0.' || lpad((a // 50 % 11)::VARCHAR, 2, '0')
               || ',"l_tax":0.' || lpad((a // 550 % 9)::VARCHAR, 2, '0')
               || ',"l_returnflag":"' || ['R', 'A', 'N'][1 + a // 4950 % 3]
               || '","l_linestatus":"' || ['O', 'F'][1 + a // 14850 % 2]
               || '","l_shipdate":"' || {date("shipped")} || '","l_commitdate":"' || {date("ordered + 30 + b // 128 % 61")}
               || '","l_receiptdate":"' || {date("shipped + 1 + b // 8192 % 30")}
               || '","l_shipinstruct":"' || {instructions}[1 + b // 262144 % 4]
               || '","l_shipmode":"' || {modes}[1 + b // 1048576 % 7]
               || '","l_comment":"' || substr(getvariable('texts')[1 + c % 2048], 1 + c // 2048 % 250, 10 + c // 524288 % 34)
               || '"}}' AS value
        FROM (
            SELECT *, 1 + b % 200000 AS part, 1 + a % 50 AS quantity, n // {ROWS_A_DAY} AS ordered,
                   n // {ROWS_A_DAY} + 1 + b % 121 AS shipped
            FROM (
                SELECT range AS i, range * {partitions} + {partition} AS n,
                       draw({seed}, {partition}, range, 'a') AS a, draw({seed}, {partition}, range, 'b') AS b,
                       draw({seed}, {partition}, range, 'comment') AS c
                FROM range({start}, {end})
            )
        )
    """
