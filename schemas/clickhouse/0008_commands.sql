-- What the seller asked of a platform, and what became of it.

CREATE TABLE IF NOT EXISTS commands{on} (
    account LowCardinality(String) COMMENT 'Connection that was to do it',
    order_id String COMMENT 'Order that it is about; empty = the price of a listing',
    listing_id String COMMENT 'Listing whose price it is; empty = about an order',
    command_id String COMMENT 'The seller''s id of the request: connection/id',
    kind LowCardinality(String) COMMENT 'price, shipment, cancellation or refund',
    state LowCardinality(String) COMMENT 'waiting, sent, done, refused, needs_person or superseded',
    outcome LowCardinality(String) COMMENT 'The last that was heard: accepted, refused, not_sent, unknown; empty = nothing yet',
    code LowCardinality(String) COMMENT 'Code of the last answer',
    message String COMMENT 'The last answer',
    attempts Int64 COMMENT 'Attempts made, by the process that heard last',
    sku String COMMENT 'SKU whose price was asked for; empty = by listing, or no price',
    amount_text String COMMENT 'Price, or money to be given back, as it was asked for; empty = none',
    amount Nullable(Decimal(38, 3)) ALIAS toDecimal128OrNull(amount_text, 3) COMMENT 'amount_text as a number',
    currency LowCardinality(String) COMMENT 'ISO 4217 code of the amount',
    units Int64 COMMENT 'Units of the lines that were named; 0 = all, or none',
    carrier LowCardinality(String) COMMENT 'Carrier of a shipment',
    tracking String COMMENT 'Tracking number of a shipment',
    requested_at DateTime64(3, 'UTC') COMMENT 'When it was requested, by the seller''s clock, UTC',
    changed_at DateTime64(3, 'UTC') COMMENT 'Time of the record that led to the state, UTC',
    {coordinates}
) ENGINE = {engine:ReplacingMergeTree(_rank)}
PARTITION BY toYYYYMM(requested_at)
ORDER BY (account, order_id, listing_id, command_id)
{settings}
COMMENT 'One row per command and order or listing: how it stands. Read with FINAL.';

CREATE TABLE IF NOT EXISTS command_outcomes{on} (
    account LowCardinality(String) COMMENT 'Connection that was to do it',
    order_id String COMMENT 'Order that it is about; empty = the price of a listing',
    listing_id String COMMENT 'Listing whose price it is; empty = about an order',
    command_id String COMMENT 'The seller''s id of the request: connection/id',
    connector LowCardinality(String) COMMENT 'Platform',
    kind LowCardinality(String) COMMENT 'price, shipment, cancellation or refund',
    outcome LowCardinality(String) COMMENT 'accepted, refused, not_sent or unknown',
    gave_up Bool COMMENT 'It is not tried any more: a person has to look',
    write_id String COMMENT 'What the command is called at the platform, e.g. in a note of the order',
    target_epoch Int64 COMMENT 'Version of the target, epoch',
    target_version Int64 COMMENT 'Version of the target, number',
    code LowCardinality(String) COMMENT 'Code of the platform''s answer',
    message String COMMENT 'The platform''s answer',
    attempts Int64 COMMENT 'Attempts made, by the process that reports',
    started_at DateTime64(3, 'UTC') COMMENT 'First attempt of the process, UTC',
    finished_at DateTime64(3, 'UTC') COMMENT 'Answer, UTC',
    {coordinates}
) ENGINE = {engine:ReplacingMergeTree(_rank)}
PARTITION BY toYYYYMM(started_at)
ORDER BY (account, order_id, listing_id, command_id, outcome, started_at)
{settings}
COMMENT 'What became of each attempt at a command, each kind of answer once. Read with FINAL.';
