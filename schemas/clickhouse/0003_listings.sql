-- Listings, what they shall show, and what became of each write.

CREATE TABLE IF NOT EXISTS listings{on} (
    account LowCardinality(String) COMMENT 'Connection of the configuration',
    listing_id String COMMENT 'Variant, ASIN + seller SKU, item id …',
    connector LowCardinality(String) COMMENT 'Platform',
    product_id String COMMENT 'Product of the listing',
    stock_id String COMMENT 'Handle for stock writes, when it differs',
    platform_sku String COMMENT 'SKU as the platform writes it',
    title String COMMENT 'Title',
    sku String COMMENT 'Our SKU; empty = unresolved',
    multiplier Int64 COMMENT 'Units of the SKU in one unit of the listing',
    match_rule LowCardinality(String) COMMENT 'Evidence for the SKU: explicit, sku or identifier',
    unresolved_reason LowCardinality(String) COMMENT 'Why no SKU was chosen',
    stocked Bool COMMENT 'The platform keeps stock for it',
    deleted Bool COMMENT 'Gone from the platform',
    currency LowCardinality(String) COMMENT 'ISO 4217 code of price_minor',
    price_minor Int64 COMMENT 'Price, smallest unit',
    price Decimal(38, 3) ALIAS {money:price_minor,currency} COMMENT 'price_minor as an amount',
    identifier_kinds Array(LowCardinality(String)) COMMENT 'Kinds of the identifiers: gtin, isbn, asin, mpn',
    identifiers Array(String) COMMENT 'Identifiers as the platform gave them',
    locations Array(String) COMMENT 'Stock locations',
    waiting_orders UInt32 COMMENT 'Orders that wait for this listing''s SKU',
    updated_at DateTime64(3, 'UTC') COMMENT 'Clock of the platform, UTC',
    {coordinates}
) ENGINE = {engine:ReplacingMergeTree(_rank)}
ORDER BY (account, listing_id)
{settings}
COMMENT 'One row per listing: what is known of it now. Read with FINAL.';

CREATE TABLE IF NOT EXISTS push_targets{on} (
    account LowCardinality(String) COMMENT 'Connection of the configuration',
    listing_id String COMMENT 'Listing',
    connector LowCardinality(String) COMMENT 'Platform',
    sku String COMMENT 'SKU that it sells',
    location LowCardinality(String) COMMENT 'Stock location',
    quantity Int64 COMMENT 'Quantity that the listing shall show',
    believed Int64 COMMENT 'Quantity that we believe it shows; -1 = unknown',
    decrease Bool COMMENT 'Lower than before: never waits behind increases',
    withdrawn Bool COMMENT 'Nothing to push any more',
    cause String COMMENT 'Level version and cause of the decision',
    decided_at DateTime64(3, 'UTC') COMMENT 'Time of the record that caused it, UTC',
    {coordinates},
    INDEX by_sku sku TYPE bloom_filter(0.01) GRANULARITY 4
) ENGINE = {engine:ReplacingMergeTree(_rank)}
PARTITION BY toYYYYMM(decided_at)
ORDER BY (account, listing_id, _version_epoch, _version)
{settings}
COMMENT 'Decisions what listings shall show, every version. Its version is (link version, level version). Read with FINAL.';

CREATE TABLE IF NOT EXISTS push_outcomes{on} (
    account LowCardinality(String) COMMENT 'Connection of the configuration',
    listing_id String COMMENT 'Listing',
    connector LowCardinality(String) COMMENT 'Platform',
    sku String COMMENT 'SKU that it sells',
    command_id String COMMENT 'Stable name of the intent to write',
    outcome LowCardinality(String) COMMENT 'accepted, refused, not_sent, unknown or superseded',
    quantity Int64 COMMENT 'Quantity written',
    target_epoch Int64 COMMENT 'Version of the target, epoch (link version)',
    target_version Int64 COMMENT 'Version of the target, number (level version)',
    code LowCardinality(String) COMMENT 'Code of the platform''s answer',
    message String COMMENT 'The platform''s answer',
    attempts Int64 COMMENT 'Attempts made',
    started_at DateTime64(3, 'UTC') COMMENT 'First attempt, UTC',
    finished_at DateTime64(3, 'UTC') COMMENT 'Answer, UTC',
    read_back Int64 COMMENT 'Quantity that the platform showed when read back; -1 = not read',
    {coordinates}
) ENGINE = {engine:ReplacingMergeTree(_rank)}
PARTITION BY toYYYYMM(started_at)
ORDER BY (account, listing_id, command_id, outcome, started_at)
{settings}
COMMENT 'What became of each write to a platform. A write is one command_id; it may have several rows (unknown, then accepted). Read with FINAL.';
