-- What went wrong, and who was told.

CREATE TABLE IF NOT EXISTS dead_letters{on} (
    stage LowCardinality(String) COMMENT 'Room or role that gave up: translate, orders, …',
    code LowCardinality(String) COMMENT 'Stable machine-readable reason: malformed, unsupported, …',
    reason String COMMENT 'What was wrong, for a person',
    topic LowCardinality(String) COMMENT 'Topic of the record that could not be handled',
    partition Int32 COMMENT 'Its partition',
    offset Int64 COMMENT 'Its offset',
    attempt Int64 COMMENT 'Attempts made, redrives included',
    connector LowCardinality(String) COMMENT 'Platform that the record came from',
    account LowCardinality(String) COMMENT 'Connection that the record came from',
    object String COMMENT 'Record key, e.g. account/order',
    value_bytes UInt64 COMMENT 'Size of the record; its bytes stay in Kafka',
    app_version LowCardinality(String) COMMENT 'Version of crossdock that gave up',
    recorded_at DateTime64(3, 'UTC') COMMENT 'Timestamp of the record, UTC',
    failed_at DateTime64(3, 'UTC') COMMENT 'When it was given up, UTC',
    {coordinates}
) ENGINE = {engine:ReplacingMergeTree(_rank)}
PARTITION BY toYYYYMM(recorded_at)
ORDER BY (stage, topic, partition, offset, attempt)
{settings}
COMMENT 'Records that could not be handled. Read with FINAL.';

CREATE TABLE IF NOT EXISTS alerts{on} (
    alert_id String COMMENT 'Id of the alert',
    kind LowCardinality(String) COMMENT 'dead-letter, oversold, needs-authorisation, lag, …',
    severity LowCardinality(String) COMMENT 'info, warning or critical',
    account LowCardinality(String) COMMENT 'Connection concerned',
    subject String COMMENT 'What it is about',
    text String COMMENT 'What happened, for a person',
    raised_at DateTime64(3, 'UTC') COMMENT 'When it was raised, UTC',
    {coordinates}
) ENGINE = {engine:ReplacingMergeTree(_rank)}
PARTITION BY toYYYYMM(raised_at)
ORDER BY (kind, subject, alert_id)
{settings}
COMMENT 'Facts that a person was to be told of. Read with FINAL.';
