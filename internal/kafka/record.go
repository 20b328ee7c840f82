package kafka

import (
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/helloword/crossdock/schemas"
)

// Header is one record header: Key and Value. It is the client's own type, so that headers
// pass in and out of it without a copy.
type Header = kgo.RecordHeader

// Record is one record to be produced.
type Record struct {
	Topic schemas.Topic
	Key   []byte
	Value []byte
	// PartitionKey decides the partition when it is not the whole key.
	PartitionKey []byte
	// Partition decides it when ByPartition is set.
	Partition   int32
	ByPartition bool
	Headers     []Header
	// TimestampMs, milliseconds UTC; 0 = now.
	TimestampMs int64
}
