-- Rates, and amounts in the reporting currency.

CREATE TABLE IF NOT EXISTS valuations{on} (
    subject String COMMENT 'What was valued: order/<account>/<id>, refund/<account>/<id>',
    kind LowCardinality(String) COMMENT 'First part of the subject: order, refund',
    account LowCardinality(String) COMMENT 'Second part of the subject',
    object_id String COMMENT 'Rest of the subject: id of the order, refund',
    currency LowCardinality(String) COMMENT 'ISO 4217 code of the original amount',
    amount_minor Int64 COMMENT 'Original amount, smallest unit',
    amount Decimal(38, 3) ALIAS {money:amount_minor,currency} COMMENT 'amount_minor as an amount',
    reporting_currency LowCardinality(String) COMMENT 'ISO 4217 code of the converted amount',
    reporting_minor Int64 COMMENT 'Converted amount, smallest unit, rounded once half-even',
    reporting Decimal(38, 3) ALIAS {money:reporting_minor,reporting_currency} COMMENT 'reporting_minor as an amount',
    source LowCardinality(String) COMMENT 'Source of the rates, e.g. ecb',
    rate_date String COMMENT 'Day of publication of the rates, YYYY-MM-DD; empty = not converted yet',
    from_rate_unscaled Int64 COMMENT 'Published rate base → currency, × 10^from_rate_scale',
    from_rate_scale Int32 COMMENT 'Decimals of from_rate_unscaled',
    to_rate_unscaled Int64 COMMENT 'Published rate base → reporting currency, × 10^to_rate_scale',
    to_rate_scale Int32 COMMENT 'Decimals of to_rate_unscaled',
    waiting Bool COMMENT 'Not converted yet: a rate is missing',
    waiting_reason LowCardinality(String) COMMENT 'What is missing',
    occurred_at DateTime64(3, 'UTC') COMMENT 'Time of the event that was valued, UTC',
    {coordinates}
) ENGINE = {engine:ReplacingMergeTree(_rank)}
ORDER BY (kind, account, object_id)
{settings}
COMMENT 'One row per valued thing: its newest amount in the reporting currency, with everything to repeat the arithmetic. Read with FINAL.';

CREATE TABLE IF NOT EXISTS rates{on} (
    source LowCardinality(String) COMMENT 'Who published it, e.g. ecb',
    date Date32 COMMENT 'Day of publication',
    base LowCardinality(String) COMMENT 'One unit of this currency …',
    currency LowCardinality(String) COMMENT '… is so many units of this one',
    rate_unscaled Int64 COMMENT 'Rate × 10^rate_scale, exactly as published',
    rate_scale Int32 COMMENT 'Decimals of rate_unscaled',
    rate Float64 ALIAS rate_unscaled / exp10(rate_scale) COMMENT 'The rate, for charts; arithmetic uses the exact figures',
    {coordinates}
) ENGINE = {engine:ReplacingMergeTree(_rank)}
ORDER BY (source, base, currency, date)
{settings}
COMMENT 'Published exchange rates. Read with FINAL.';
