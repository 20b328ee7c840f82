-- Stock: what is there, what each cause did to it, and what is wrong. Levels and claims carry
-- no immutable date, so those tables are one partition; what happened at a time is by month.

CREATE TABLE IF NOT EXISTS stock_levels{on} (
    sku String COMMENT 'SKU',
    on_hand Int64 COMMENT 'Units on hand over all warehouses',
    reserved Int64 COMMENT 'Units promised to orders',
    available Int64 COMMENT 'max(0, on_hand - reserved)',
    oversold Int64 COMMENT 'Units promised beyond what there is',
    short Int64 COMMENT 'Units written off beyond what there was',
    changed_at DateTime64(3, 'UTC') COMMENT 'Time of the record that caused this version, UTC',
    cause String COMMENT 'Move, link or outcome that caused this version',
    `warehouses.warehouse` Array(String) COMMENT 'Per warehouse: name',
    `warehouses.sum` Array(Int64) COMMENT 'Per warehouse: plain sum of all moves; may be negative',
    `warehouses.on_hand` Array(Int64) COMMENT 'Per warehouse: max(0, sum)',
    `warehouses.reserved` Array(Int64) COMMENT 'Per warehouse: units promised',
    `listings.account` Array(String) COMMENT 'Per linked listing: account',
    `listings.listing_id` Array(String) COMMENT 'Per linked listing: id',
    `listings.target` Array(Int64) COMMENT 'Per linked listing: quantity that it shall show',
    `listings.accepted` Array(Int64) COMMENT 'Per linked listing: quantity of the newest accepted write',
    `listings.paused` Array(Bool) COMMENT 'Per linked listing: paused by its threshold',
    {coordinates}
) ENGINE = {engine:ReplacingMergeTree(_rank)}
ORDER BY sku
{settings}
COMMENT 'One row per SKU: its newest level. Read with FINAL.';

CREATE TABLE IF NOT EXISTS stock_level_history{on} (
    sku String COMMENT 'SKU',
    on_hand Int64 COMMENT 'Units on hand over all warehouses',
    reserved Int64 COMMENT 'Units promised to orders',
    available Int64 COMMENT 'max(0, on_hand - reserved)',
    oversold Int64 COMMENT 'Units promised beyond what there is',
    short Int64 COMMENT 'Units written off beyond what there was',
    changed_at DateTime64(3, 'UTC') COMMENT 'Time of the record that caused this version, UTC',
    cause String COMMENT 'Move, link or outcome that caused this version',
    {coordinates},
    INDEX by_cause cause TYPE bloom_filter(0.01) GRANULARITY 4
) ENGINE = {engine:ReplacingMergeTree(_rank)}
PARTITION BY toYYYYMM(changed_at)
ORDER BY (sku, _version_epoch, _version)
{settings}
COMMENT 'One row per version of a SKU''s level. Read with FINAL.';

CREATE TABLE IF NOT EXISTS stock_claims{on} (
    sku String COMMENT 'SKU',
    warehouse LowCardinality(String) COMMENT 'Warehouse',
    move_id String COMMENT 'Cause: order/<account>/<id>, adjust/<account>/<id>',
    cause_epoch Int64 COMMENT 'Version of the cause, epoch',
    cause_version Int64 COMMENT 'Version of the cause, number',
    on_hand Int64 COMMENT 'Change of what is on hand by this cause, altogether and signed',
    reserved Int64 COMMENT 'What this cause reserves as of this version',
    {coordinates},
    INDEX by_move move_id TYPE bloom_filter(0.01) GRANULARITY 4
) ENGINE = {engine:ReplacingMergeTree(_rank)}
ORDER BY (sku, warehouse, move_id, cause_epoch, cause_version)
{settings}
COMMENT 'Ledger of stock: what each version of each cause claims. stock_claims_current has the newest per cause. Read with FINAL.';

CREATE VIEW IF NOT EXISTS stock_claims_current{on} (
    sku String COMMENT 'SKU',
    warehouse LowCardinality(String) COMMENT 'Warehouse',
    move_id String COMMENT 'Cause',
    on_hand Int64 COMMENT 'Change of what is on hand by this cause',
    reserved Int64 COMMENT 'What this cause reserves now'
) AS SELECT sku, warehouse, move_id, on_hand, reserved
FROM stock_claims FINAL
ORDER BY cause_epoch DESC, cause_version DESC
LIMIT 1 BY sku, warehouse, move_id
COMMENT 'The newest claim of each cause: their sums are the levels.';

CREATE VIEW IF NOT EXISTS stock_by_warehouse{on} (
    sku String COMMENT 'SKU',
    warehouse String COMMENT 'Warehouse',
    sum Int64 COMMENT 'Plain sum of all moves; may be negative',
    on_hand Int64 COMMENT 'Units on hand',
    reserved Int64 COMMENT 'Units promised',
    changed_at DateTime64(3, 'UTC') COMMENT 'Last change of the SKU, UTC'
) AS SELECT sku, w AS warehouse, s AS sum, h AS on_hand, r AS reserved, changed_at
FROM stock_levels FINAL
ARRAY JOIN `warehouses.warehouse` AS w, `warehouses.sum` AS s, `warehouses.on_hand` AS h, `warehouses.reserved` AS r
COMMENT 'Newest level by SKU and warehouse.';

CREATE TABLE IF NOT EXISTS stock_alarms{on} (
    sku String COMMENT 'SKU',
    warehouse LowCardinality(String) COMMENT 'Warehouse; empty = all',
    kind LowCardinality(String) COMMENT 'oversold, short or cleared',
    units Int64 COMMENT 'Units missing after the cause',
    cause String COMMENT 'Move that caused it',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened, UTC',
    {coordinates}
) ENGINE = {engine:ReplacingMergeTree(_rank)}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (sku, warehouse, kind, cause, _version_epoch, _version)
{settings}
COMMENT 'Stock that was sold or written off and is not there. Read with FINAL.';

CREATE TABLE IF NOT EXISTS adjustments{on} (
    account LowCardinality(String) COMMENT 'Connection of the configuration',
    adjustment_id String COMMENT 'Id at its source',
    kind LowCardinality(String) COMMENT 'receipt, write_off, opening or correction',
    sku String COMMENT 'SKU',
    warehouse LowCardinality(String) COMMENT 'Warehouse',
    quantity Int64 COMMENT 'Units as the source reports them',
    reference String COMMENT 'Document at the source',
    note String COMMENT 'Note',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened, UTC',
    origin_topic LowCardinality(String) COMMENT 'Raw topic',
    origin_partition Int32 COMMENT 'Partition of the raw record',
    origin_offset Int64 COMMENT 'Offset of the raw record',
    {coordinates}
) ENGINE = {engine:ReplacingMergeTree(_rank)}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (account, adjustment_id)
{settings}
COMMENT 'Changes of stock that no order explains. Read with FINAL.';

CREATE TABLE IF NOT EXISTS unmatched_returns{on} (
    account LowCardinality(String) COMMENT 'Connection of the configuration',
    return_id String COMMENT 'Id at its source',
    reference String COMMENT 'Document at the source, e.g. credit note and line',
    sku String COMMENT 'SKU',
    quantity Int64 COMMENT 'Units returned',
    currency LowCardinality(String) COMMENT 'ISO 4217 code of amount_minor',
    amount_minor Int64 COMMENT 'Money, smallest unit',
    amount Decimal(38, 3) ALIAS {money:amount_minor,currency} COMMENT 'amount_minor as an amount',
    buyer String COMMENT 'Keyed hash of the buyer',
    reason LowCardinality(String) COMMENT 'Why no order explains it',
    occurred_at DateTime64(3, 'UTC') COMMENT 'When it happened, UTC',
    origin_topic LowCardinality(String) COMMENT 'Raw topic',
    origin_partition Int32 COMMENT 'Partition of the raw record',
    origin_offset Int64 COMMENT 'Offset of the raw record',
    {coordinates}
) ENGINE = {engine:ReplacingMergeTree(_rank)}
PARTITION BY toYYYYMM(occurred_at)
ORDER BY (account, return_id)
{settings}
COMMENT 'Returns that wait until somebody decides. Read with FINAL.';
