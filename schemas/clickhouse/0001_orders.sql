-- Orders and refunds. An order's row is its whole newest snapshot, lines included: a line
-- that vanished in a later version vanishes with the row that held it, and one insert is
-- atomic for an order. order_lines and refund_lines unfold them.
-- Tables are partitioned by a date that no later version of the row changes, so that FINAL
-- needs no merge across partitions (do_not_merge_across_partitions_select_final).

CREATE TABLE IF NOT EXISTS orders{on} (
    account LowCardinality(String) COMMENT 'Connection of the configuration that the order was sold on, e.g. shop-uk',
    order_id String COMMENT 'Id of the order on its platform, as text',
    connector LowCardinality(String) COMMENT 'Platform: shopify, amazon, …',
    name String COMMENT 'What buyer and merchant call the order, e.g. #1001',
    reference String COMMENT 'Free reference of the merchant, e.g. an ERP number',
    status LowCardinality(String) COMMENT 'open, on_hold, closed or cancelled',
    payment_status LowCardinality(String) COMMENT 'pending, authorised, partially_paid, paid, partially_refunded, refunded or voided',
    fulfilment_status LowCardinality(String) COMMENT 'unfulfilled, partial, fulfilled or restocked',
    created_at DateTime64(3, 'UTC') COMMENT 'When the order was placed, UTC',
    updated_at DateTime64(3, 'UTC') COMMENT 'Clock of the platform at this snapshot, UTC',
    cancelled_at DateTime64(3, 'UTC') COMMENT 'When it was cancelled, UTC; 1970-01-01 = never',
    cancel_reason LowCardinality(String) COMMENT 'Reason of the cancellation as the platform words it',
    currency LowCardinality(String) COMMENT 'ISO 4217 code of all money of this row but the presentment',
    subtotal_minor Int64 COMMENT 'Sum of line totals before order discounts, shipping and tax, in the smallest unit (pence, cents)',
    discounts_minor Int64 COMMENT 'All discounts, smallest unit',
    shipping_minor Int64 COMMENT 'Shipping charged, smallest unit',
    tax_minor Int64 COMMENT 'All taxes, smallest unit',
    platform_tax_minor Int64 COMMENT 'The part of the tax that the platform remits itself, smallest unit',
    total_minor Int64 COMMENT 'What the order costs altogether, smallest unit; not reduced by refunds',
    total Decimal(38, 3) ALIAS {money:total_minor,currency} COMMENT 'total_minor as an amount',
    presentment_minor Int64 COMMENT 'Total that the buyer was shown, smallest unit of presentment_currency',
    presentment_currency LowCardinality(String) COMMENT 'Currency that the buyer was shown; empty = currency',
    taxes_included Bool COMMENT 'Prices include tax',
    units Int64 COMMENT 'Units ordered over all lines, units of the listings',
    line_count UInt32 COMMENT 'Number of lines',
    discount_codes Array(String) COMMENT 'Discount codes used',
    buyer String COMMENT 'Keyed hash of the buyer (first 16 hex digits of HMAC-SHA256 over account and platform buyer id); no personal data unless configured otherwise',
    country LowCardinality(String) COMMENT 'Destination, ISO 3166-1 alpha-2; empty = unknown',
    region LowCardinality(String) COMMENT 'Region, state or province of the destination as the platform gives it',
    postcode_prefix LowCardinality(String) COMMENT 'At most three leading characters of the destination postcode',
    parked Bool COMMENT 'Waits: at least one stocked line has no SKU yet',
    test Bool COMMENT 'Test order of the platform: not counted as a sale',
    `lines.line_id` Array(String) COMMENT 'Per line: id on the platform',
    `lines.listing_id` Array(String) COMMENT 'Per line: listing bought (variant, ASIN, item id)',
    `lines.product_id` Array(String) COMMENT 'Per line: product of the listing',
    `lines.platform_sku` Array(String) COMMENT 'Per line: SKU as the platform writes it',
    `lines.sku` Array(String) COMMENT 'Per line: our SKU; empty = unresolved, or not stocked',
    `lines.multiplier` Array(Int64) COMMENT 'Per line: units of the SKU in one unit of the listing',
    `lines.match_rule` Array(LowCardinality(String)) COMMENT 'Per line: evidence for the SKU: explicit, sku or identifier',
    `lines.title` Array(String) COMMENT 'Per line: title',
    `lines.quantity` Array(Int64) COMMENT 'Per line: units of the listing ordered',
    `lines.fulfilled` Array(Int64) COMMENT 'Per line: units already shipped',
    `lines.removed` Array(Int64) COMMENT 'Per line: units taken out before they were shipped',
    `lines.unit_price_unscaled` Array(Int64) COMMENT 'Per line: unit price × 10^unit_price_scale',
    `lines.unit_price_scale` Array(Int32) COMMENT 'Per line: decimals of the unit price; may be finer than the currency',
    `lines.total_minor` Array(Int64) COMMENT 'Per line: quantity × unit price, rounded once, before discounts, smallest unit',
    `lines.discount_minor` Array(Int64) COMMENT 'Per line: discount, smallest unit',
    `lines.tax_minor` Array(Int64) COMMENT 'Per line: tax, smallest unit',
    `lines.stocked` Array(Bool) COMMENT 'Per line: the platform keeps stock for it (false: postage, fees, digital goods)',
    origin_topic LowCardinality(String) COMMENT 'Raw topic of the snapshot that this version comes from',
    origin_partition Int32 COMMENT 'Partition of the raw record',
    origin_offset Int64 COMMENT 'Offset of the raw record',
    origin_path LowCardinality(String) COMMENT 'How the snapshot reached us: webhook, poll, import or redrive',
    source_time DateTime64(3, 'UTC') COMMENT 'When the platform said it, UTC',
    received_at DateTime64(3, 'UTC') COMMENT 'When Kafka acknowledged the raw record, UTC',
    {coordinates}
) ENGINE = {engine:ReplacingMergeTree(_rank)}
PARTITION BY toYYYYMM(created_at)
ORDER BY (account, order_id)
{settings}
COMMENT 'One row per order: its newest snapshot. Read with FINAL (older versions stay until a merge).';

CREATE TABLE IF NOT EXISTS order_history{on} (
    account LowCardinality(String) COMMENT 'Connection of the configuration',
    order_id String COMMENT 'Id of the order on its platform',
    status LowCardinality(String) COMMENT 'Status at this version',
    payment_status LowCardinality(String) COMMENT 'Payment status at this version',
    fulfilment_status LowCardinality(String) COMMENT 'Fulfilment status at this version',
    created_at DateTime64(3, 'UTC') COMMENT 'When the order was placed, UTC',
    updated_at DateTime64(3, 'UTC') COMMENT 'Clock of the platform at this version, UTC',
    currency LowCardinality(String) COMMENT 'ISO 4217 code of total_minor',
    total_minor Int64 COMMENT 'Total at this version, smallest unit',
    units Int64 COMMENT 'Units ordered at this version',
    line_count UInt32 COMMENT 'Lines at this version',
    refund_count UInt32 COMMENT 'Refunds known at this version',
    parked Bool COMMENT 'Waited for a SKU at this version',
    origin_topic LowCardinality(String) COMMENT 'Raw topic of the snapshot',
    origin_partition Int32 COMMENT 'Partition of the raw record',
    origin_offset Int64 COMMENT 'Offset of the raw record',
    origin_path LowCardinality(String) COMMENT 'How the snapshot reached us',
    received_at DateTime64(3, 'UTC') COMMENT 'When Kafka acknowledged the raw record, UTC',
    {coordinates}
) ENGINE = {engine:ReplacingMergeTree(_rank)}
PARTITION BY toYYYYMM(created_at)
ORDER BY (account, order_id, _version_epoch, _version)
{settings}
COMMENT 'One row per version of an order: what changed when, and which raw record said so. Read with FINAL.';

CREATE TABLE IF NOT EXISTS refunds{on} (
    account LowCardinality(String) COMMENT 'Connection of the configuration',
    order_id String COMMENT 'Order that was refunded',
    refund_id String COMMENT 'Id of the refund on its platform',
    connector LowCardinality(String) COMMENT 'Platform',
    created_at DateTime64(3, 'UTC') COMMENT 'When it was refunded, UTC',
    order_created_at DateTime64(3, 'UTC') COMMENT 'When the order was placed, UTC',
    currency LowCardinality(String) COMMENT 'ISO 4217 code of the money of this row',
    total_minor Int64 COMMENT 'Money given back altogether: lines, shipping, adjustments; smallest unit',
    total Decimal(38, 3) ALIAS {money:total_minor,currency} COMMENT 'total_minor as an amount',
    shipping_minor Int64 COMMENT 'Shipping given back, smallest unit',
    note String COMMENT 'Reference or note of the merchant, e.g. a credit note number',
    country LowCardinality(String) COMMENT 'Destination country of the order',
    test Bool COMMENT 'Refund of a test order',
    `lines.order_line_id` Array(String) COMMENT 'Per line: line of the order',
    `lines.sku` Array(String) COMMENT 'Per line: our SKU of that order line; empty = unresolved',
    `lines.multiplier` Array(Int64) COMMENT 'Per line: units of the SKU in one unit of the listing',
    `lines.quantity` Array(Int64) COMMENT 'Per line: units of the listing refunded',
    `lines.amount_minor` Array(Int64) COMMENT 'Per line: money given back, smallest unit',
    `lines.restock` Array(LowCardinality(String)) COMMENT 'Per line: none, cancel (never shipped) or return (came back)',
    origin_topic LowCardinality(String) COMMENT 'Raw topic that told of the refund',
    origin_partition Int32 COMMENT 'Partition of the raw record',
    origin_offset Int64 COMMENT 'Offset of the raw record',
    origin_path LowCardinality(String) COMMENT 'How it reached us',
    {coordinates}
) ENGINE = {engine:ReplacingMergeTree(_rank)}
PARTITION BY toYYYYMM(created_at)
ORDER BY (account, order_id, refund_id)
{settings}
COMMENT 'One row per refund or return, as the newest version of its order tells it. Read with FINAL.';

CREATE VIEW IF NOT EXISTS order_lines{on} (
    account LowCardinality(String) COMMENT 'Connection of the configuration',
    order_id String COMMENT 'Order',
    line_id String COMMENT 'Line of the order on its platform',
    line_number UInt32 COMMENT 'Position in the order, from 1',
    connector LowCardinality(String) COMMENT 'Platform',
    created_at DateTime64(3, 'UTC') COMMENT 'When the order was placed, UTC',
    status LowCardinality(String) COMMENT 'Status of the order',
    country LowCardinality(String) COMMENT 'Destination country',
    region LowCardinality(String) COMMENT 'Destination region',
    buyer String COMMENT 'Keyed hash of the buyer',
    test Bool COMMENT 'Line of a test order',
    sku String COMMENT 'Our SKU; empty = unresolved, or not stocked',
    listing_id String COMMENT 'Listing bought',
    product_id String COMMENT 'Product of the listing',
    platform_sku String COMMENT 'SKU as the platform writes it',
    match_rule LowCardinality(String) COMMENT 'Evidence for the SKU',
    title String COMMENT 'Title',
    stocked Bool COMMENT 'The platform keeps stock for it',
    quantity Int64 COMMENT 'Units of the listing ordered',
    units Int64 COMMENT 'Units of the SKU ordered: quantity × multiplier',
    fulfilled Int64 COMMENT 'Units of the listing already shipped',
    removed Int64 COMMENT 'Units of the listing taken out before they were shipped',
    unit_price Float64 COMMENT 'Unit price, for charts; money adds up from total_minor',
    currency LowCardinality(String) COMMENT 'ISO 4217 code',
    total_minor Int64 COMMENT 'quantity × unit price, rounded once, before discounts, smallest unit',
    total Decimal(38, 3) COMMENT 'total_minor as an amount',
    discount_minor Int64 COMMENT 'Discount of the line, smallest unit',
    tax_minor Int64 COMMENT 'Tax of the line, smallest unit'
) AS SELECT
    account, order_id, line_id, line_number, connector, created_at, status, country, region, buyer, test,
    sku, listing_id, product_id, platform_sku, match_rule, title, stocked, quantity,
    quantity * greatest(multiplier, 1) AS units, fulfilled, removed,
    unscaled / exp10(scale) AS unit_price, currency, line_total AS total_minor,
    {money:line_total,currency} AS total, line_discount AS discount_minor, line_tax AS tax_minor
FROM orders FINAL
ARRAY JOIN
    `lines.line_id` AS line_id, arrayEnumerate(`lines.line_id`) AS line_number,
    `lines.sku` AS sku, `lines.listing_id` AS listing_id, `lines.product_id` AS product_id,
    `lines.platform_sku` AS platform_sku, `lines.match_rule` AS match_rule, `lines.title` AS title,
    `lines.stocked` AS stocked, `lines.quantity` AS quantity, `lines.multiplier` AS multiplier,
    `lines.fulfilled` AS fulfilled, `lines.removed` AS removed,
    `lines.unit_price_unscaled` AS unscaled, `lines.unit_price_scale` AS scale,
    `lines.total_minor` AS line_total, `lines.discount_minor` AS line_discount, `lines.tax_minor` AS line_tax
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row per line of the newest version of each order.';

CREATE VIEW IF NOT EXISTS refund_lines{on} (
    account LowCardinality(String) COMMENT 'Connection of the configuration',
    order_id String COMMENT 'Order',
    refund_id String COMMENT 'Refund',
    order_line_id String COMMENT 'Line of the order',
    created_at DateTime64(3, 'UTC') COMMENT 'When it was refunded, UTC',
    country LowCardinality(String) COMMENT 'Destination country of the order',
    test Bool COMMENT 'Refund of a test order',
    sku String COMMENT 'Our SKU; empty = unresolved',
    quantity Int64 COMMENT 'Units of the listing refunded',
    units Int64 COMMENT 'Units of the SKU refunded',
    currency LowCardinality(String) COMMENT 'ISO 4217 code',
    amount_minor Int64 COMMENT 'Money given back, smallest unit',
    amount Decimal(38, 3) COMMENT 'amount_minor as an amount',
    restock LowCardinality(String) COMMENT 'none, cancel or return',
    note String COMMENT 'Reference or note of the merchant'
) AS SELECT
    account, order_id, refund_id, order_line_id, created_at, country, test, sku, quantity,
    quantity * greatest(multiplier, 1) AS units, currency, amount_minor,
    {money:amount_minor,currency} AS amount, restock, note
FROM refunds FINAL
ARRAY JOIN
    `lines.order_line_id` AS order_line_id, `lines.sku` AS sku, `lines.multiplier` AS multiplier,
    `lines.quantity` AS quantity, `lines.amount_minor` AS amount_minor, `lines.restock` AS restock
SETTINGS do_not_merge_across_partitions_select_final = 1
COMMENT 'One row per line of each refund.';
