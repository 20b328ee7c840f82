package kafka

import "github.com/helloword/crossdock/schemas"

// Header is one record header.
type Header struct {
	Key   string
	Value []byte
}

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
