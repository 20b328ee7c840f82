// Package ingest is how bytes from outside become raw records: the way in that webhooks,
// polls and imports share. It keeps nothing.
package ingest

import (
	"context"
	"fmt"
	"strconv"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/schemas"
)

// Publisher is Kafka as the rooms of ingest see it.
type Publisher interface {
	// Produce returns nil only after all records were acknowledged with acks=all, and keeps no
	// reference to them then: the caller uses their memory again. With an error, any of them
	// may have been stored or may be stored yet, and their memory must be left alone.
	// Called concurrently.
	Produce(ctx context.Context, records []kafka.Record) error
}

// Values of the header "path".
const (
	PathWebhook = "webhook"
	PathPoll    = "poll"
)

// Topic is the raw topic of a subject; ok is false when it has none.
func Topic(s connectors.Subject) (topic schemas.Topic, ok bool) {
	switch s {
	case connectors.Orders:
		return schemas.RawOrders, true
	case connectors.Products:
		return schemas.RawProducts, true
	case connectors.Inventory:
		return schemas.RawInventory, true
	case connectors.Stock:
		return schemas.RawStock, true
	case connectors.RateDays:
		return schemas.RawRates, true
	default:
		return schemas.Topic{}, false
	}
}

// Stamp makes the records of one connection on one way in. It is read-only once made.
type Stamp struct {
	account string
	// fixed are the headers that are the same for all records.
	fixed [3]kafka.Header
}

// NewStamp makes a stamp; path is PathWebhook or PathPoll.
func NewStamp(connector, account, path string) *Stamp {
	return &Stamp{account: account, fixed: [3]kafka.Header{
		{Key: schemas.HeaderConnector, Value: []byte(connector)},
		{Key: schemas.HeaderAccount, Value: []byte(account)},
		{Key: schemas.HeaderPath, Value: []byte(path)},
	}}
}

// maxHeaders is how many headers a record can have: three fixed, five of its own.
const maxHeaders = 3 + 5

// Record is the record of one object: key account/object, value the bytes themselves. The
// error is a connector that speaks of a subject that nobody keeps.
func (s *Stamp) Record(raw *connectors.Raw, trace string) (kafka.Record, error) {
	topic, ok := Topic(raw.Subject)
	if !ok {
		return kafka.Record{}, fmt.Errorf("object %q: no raw topic for subject %q", raw.Object, raw.Subject)
	}
	key := make([]byte, 0, len(s.account)+1+len(raw.Object))
	key = append(append(append(key, s.account...), '/'), raw.Object...)
	headers := make([]kafka.Header, 3, maxHeaders)
	copy(headers, s.fixed[:])
	// The object stands at the end of the key: no second copy.
	headers = append(headers, kafka.Header{Key: schemas.HeaderObject, Value: key[len(s.account)+1:]})
	if raw.Format != "" {
		headers = append(headers, kafka.Header{Key: schemas.HeaderFormat, Value: []byte(raw.Format)})
	}
	if raw.Delivery != "" {
		headers = append(headers, kafka.Header{Key: schemas.HeaderDelivery, Value: []byte(raw.Delivery)})
	}
	if !raw.SourceTime.IsZero() {
		headers = append(headers, kafka.Header{Key: schemas.HeaderSourceTime, Value: strconv.AppendInt(nil, raw.SourceTime.UnixMilli(), 10)})
	}
	if trace != "" {
		headers = append(headers, kafka.Header{Key: schemas.HeaderTrace, Value: []byte(trace)})
	}
	return kafka.Record{Topic: topic, Key: key, Value: raw.Body, Headers: headers}, nil
}
