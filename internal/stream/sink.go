package stream

import (
	"context"
)

// Batch is a run of records of one partition that is written as one.
type Batch struct {
	Topic     string // base name, without scope
	Partition int32
	First     int64
	Last      int64
	// Token names this very batch: the same after any crash, so that the receiver can drop
	// a second copy.
	Token   string
	Records []*Record
}

// BatchWriter is a sink that accepts whole batches and recognises a token that it has seen.
type BatchWriter interface {
	// Write returns after the batch is durable. A transient error is retried with the same
	// batch for as long as it takes, its partition paused and the member kept in the group;
	// records that can never be written are returned in a *RejectedError, go to the dead
	// letters, and the rest counts as written.
	Write(ctx context.Context, b *Batch) error
}

// RejectedError lists the records of a batch that cannot be written, ever; all the others
// have been written.
type RejectedError struct {
	Records []Rejected
}

// Rejected is one record that cannot be written, and why.
type Rejected struct {
	Index int
	Err   error
}

func (e *RejectedError) Error() string { return "some records were rejected" }

// Delivery is one record handed to an Executor. Done must be called exactly once for each,
// in any order and from any goroutine: the offset that is committed is the one below which
// all are done.
type Delivery struct {
	*Record
	Done func()
}

// Executor carries out records in its own order and time.
type Executor interface {
	// Offer takes deliveries of one partition in order. It may block: that is back-pressure. The
	// records stay valid until Done.
	Offer(ctx context.Context, ds []*Delivery) error
	// Revoke tells that a partition now belongs to another member: what has not been started is
	// dropped, what is under way is waited for. The offers not done will be made to the next owner.
	Revoke(ctx context.Context, topic string, partition int32)
}
