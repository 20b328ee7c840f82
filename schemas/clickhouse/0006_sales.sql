-- Sales. The view sales unfolds the newest version of every order when it is read, so a retried
-- insert or a new version counts nothing twice. sales_daily and order_daily are that same figure
-- materialised: computed anew as a whole every minute and exchanged at once; sales_by_* sum them.
-- They are not sums over inserts on purpose: such a sum counts each version of an order again,
-- and neither a stateless sink nor the server can take the older version back exactly once.
-- Measured on 500,000 orders of 3 lines in 24 months, a tenth with a second version, unmerged
-- (2 busy cores, engine 26.7; BenchmarkSales): per SKU 0.50 s by the view over FINAL, 1.66 s by
-- argMax, 0.08 s without FINAL and wrong; one month by the view 0.04 s; a refresh 2.4 s. Where a
-- refresh takes longer than is wanted: ALTER TABLE sales_daily MODIFY REFRESH EVERY 1 HOUR.

CREATE VIEW IF NOT EXISTS sales{on} (
    day Date COMMENT 'UTC date of the order',
    account LowCardinality(String) COMMENT 'Connection it was sold on',
    connector LowCardinality(String) COMMENT 'Platform',
    country LowCardinality(String) COMMENT 'Destination country; empty = unknown',
    currency LowCardinality(String) COMMENT 'ISO 4217 code of the money',
    order_id String COMMENT 'Order',
    sku String COMMENT 'Our SKU; empty = unresolved, or not stocked',
    units Int64 COMMENT 'Units of the SKU sold',
    gross_minor Int64 COMMENT 'Line total before discounts, smallest unit',
    discount_minor Int64 COMMENT 'Line discount, smallest unit',
    tax_minor Int64 COMMENT 'Line tax, smallest unit'
) AS SELECT {day:created_at} AS day, account, connector, country, currency, order_id, sku, units,
    total_minor AS gross_minor, discount_minor, tax_minor
FROM order_lines
WHERE NOT test AND status != 'cancelled'
COMMENT 'Lines sold: of orders that are neither test nor cancelled.';

CREATE MATERIALIZED VIEW IF NOT EXISTS sales_daily{on}
REFRESH EVERY 1 MINUTE
(
    day Date COMMENT 'UTC date of the orders',
    account LowCardinality(String) COMMENT 'Connection sold on',
    connector LowCardinality(String) COMMENT 'Platform',
    country LowCardinality(String) COMMENT 'Destination country; empty = unknown',
    sku String COMMENT 'Our SKU; empty = unresolved, or not stocked',
    currency LowCardinality(String) COMMENT 'ISO 4217 code of the money',
    orders UInt64 COMMENT 'Orders with the SKU; not additive over SKUs, see order_daily',
    lines UInt64 COMMENT 'Lines',
    units Int64 COMMENT 'Units of the SKU sold',
    gross_minor Int64 COMMENT 'Line totals before discounts, smallest unit',
    discount_minor Int64 COMMENT 'Line discounts, smallest unit',
    tax_minor Int64 COMMENT 'Line taxes, smallest unit'
)
ENGINE = MergeTree ORDER BY (day, account, country, sku, currency)
AS SELECT day, account, any(sales.connector) AS connector, country, sku, currency,
    uniqExact(order_id) AS orders, count() AS lines, sum(sales.units) AS units, sum(sales.gross_minor) AS gross_minor,
    sum(sales.discount_minor) AS discount_minor, sum(sales.tax_minor) AS tax_minor
FROM sales
GROUP BY day, account, country, sku, currency
COMMENT 'Sales per day, account, country and SKU; at most a minute old.';

CREATE MATERIALIZED VIEW IF NOT EXISTS order_daily{on}
REFRESH EVERY 1 MINUTE
(
    day Date COMMENT 'UTC date of the orders',
    account LowCardinality(String) COMMENT 'Connection sold on',
    connector LowCardinality(String) COMMENT 'Platform',
    country LowCardinality(String) COMMENT 'Destination country; empty = unknown',
    currency LowCardinality(String) COMMENT 'ISO 4217 code of the money',
    orders UInt64 COMMENT 'Orders',
    units Int64 COMMENT 'Units of listings ordered',
    total_minor Int64 COMMENT 'Totals of the orders, smallest unit',
    shipping_minor Int64 COMMENT 'Shipping charged, smallest unit',
    discounts_minor Int64 COMMENT 'Discounts, smallest unit',
    tax_minor Int64 COMMENT 'Taxes, smallest unit'
)
ENGINE = MergeTree ORDER BY (day, account, country, currency)
AS SELECT {day:created_at} AS day, account, any(o.connector) AS connector, country, currency,
    count() AS orders, sum(o.units) AS units, sum(o.total_minor) AS total_minor, sum(o.shipping_minor) AS shipping_minor,
    sum(o.discounts_minor) AS discounts_minor, sum(o.tax_minor) AS tax_minor
FROM orders AS o FINAL
WHERE NOT test AND status != 'cancelled'
GROUP BY day, account, country, currency
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'Orders per day, account and country; at most a minute old.';

CREATE VIEW IF NOT EXISTS sales_by_day{on} (
    day Date COMMENT 'UTC date', currency LowCardinality(String) COMMENT 'ISO 4217 code',
    lines UInt64 COMMENT 'Lines', units Int64 COMMENT 'Units sold', gross_minor Int64 COMMENT 'Line totals, smallest unit'
) AS SELECT day, currency, sum(sales_daily.lines) AS lines, sum(sales_daily.units) AS units, sum(sales_daily.gross_minor) AS gross_minor
FROM sales_daily GROUP BY day, currency
COMMENT 'Sales per day.';

CREATE VIEW IF NOT EXISTS sales_by_sku{on} (
    sku String COMMENT 'Our SKU', currency LowCardinality(String) COMMENT 'ISO 4217 code',
    lines UInt64 COMMENT 'Lines', units Int64 COMMENT 'Units sold', gross_minor Int64 COMMENT 'Line totals, smallest unit'
) AS SELECT sku, currency, sum(sales_daily.lines) AS lines, sum(sales_daily.units) AS units, sum(sales_daily.gross_minor) AS gross_minor
FROM sales_daily GROUP BY sku, currency
COMMENT 'Sales per SKU.';

CREATE VIEW IF NOT EXISTS sales_by_channel{on} (
    connector LowCardinality(String) COMMENT 'Platform', account LowCardinality(String) COMMENT 'Connection', currency LowCardinality(String) COMMENT 'ISO 4217 code',
    lines UInt64 COMMENT 'Lines', units Int64 COMMENT 'Units sold', gross_minor Int64 COMMENT 'Line totals, smallest unit'
) AS SELECT connector, account, currency, sum(sales_daily.lines) AS lines, sum(sales_daily.units) AS units, sum(sales_daily.gross_minor) AS gross_minor
FROM sales_daily GROUP BY connector, account, currency
COMMENT 'Sales per platform and account.';

CREATE VIEW IF NOT EXISTS sales_by_country{on} (
    country LowCardinality(String) COMMENT 'Destination country; empty = unknown', currency LowCardinality(String) COMMENT 'ISO 4217 code',
    lines UInt64 COMMENT 'Lines', units Int64 COMMENT 'Units sold', gross_minor Int64 COMMENT 'Line totals, smallest unit'
) AS SELECT country, currency, sum(sales_daily.lines) AS lines, sum(sales_daily.units) AS units, sum(sales_daily.gross_minor) AS gross_minor
FROM sales_daily GROUP BY country, currency
COMMENT 'Sales per destination country.';
