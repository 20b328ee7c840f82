package stream

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/schemas"
)

// emission waits for the acknowledgement of everything that one round emits.
type emission struct {
	wg  sync.WaitGroup
	n   atomic.Int64
	err atomic.Pointer[error]

	mu     sync.Mutex
	arenas []*arena
}

func (e *emission) done(_ *kgo.Record, err error) {
	if err != nil {
		e.err.CompareAndSwap(nil, &err)
	}
	e.wg.Done()
}

// wait returns when every record has been acknowledged by all replicas.
func (e *emission) wait() error {
	e.wg.Wait()
	if p := e.err.Load(); p != nil {
		// The client may hold on to what it has not sent.
		return *p
	}
	for _, a := range e.arenas {
		a.release()
	}
	e.arenas = nil
	return nil
}

// emit hands the outputs of a batch to the producer: step Emit, which ends with emission.wait.
func (l *Loop) emit(ctx context.Context, h *handled, e *emission) error {
	all := h.records[:0]
	for i := range h.outs {
		o := &h.outs[i]
		if o.dropped {
			continue
		}
		value, err := o.encode(h.arena)
		if err != nil {
			return err
		}
		headers := o.Headers
		if o.trace != nil {
			headers = append(headers[:len(headers):len(headers)], Header{Key: schemas.HeaderTrace, Value: o.trace})
		}
		if o.ByPartition {
			r := kafka.Record{
				Topic: o.Topic, Key: o.Key, Value: value, Headers: headers, Partition: o.Partition, ByPartition: true,
			}
			if err := l.client.Convert(ctx, &r, func(k *kgo.Record) { all = append(all, k) }); err != nil {
				return err
			}
			continue
		}
		d, err := l.client.Destination(ctx, o.Topic)
		if err != nil {
			return err
		}
		r := h.arena.record()
		r.Topic, r.Partition = d.Topic, d.Partition(o.Key, o.PartitionKey)
		r.Key, r.Value, r.Headers = o.Key, value, headers
		all = append(all, r)
	}
	e.mu.Lock()
	e.arenas = append(e.arenas, h.arena)
	e.mu.Unlock()
	e.n.Add(int64(len(all)))
	e.wg.Add(len(all))
	// Not ctx: an acknowledgement is waited for even when the group fails.
	ctx = context.WithoutCancel(ctx)
	for _, r := range all {
		l.client.Client.Produce(ctx, r, e.done)
	}
	clear(h.outs)
	clear(all)
	return nil
}

// encode is the output's value, made in a.
func (o *Output) encode(a *arena) ([]byte, error) {
	if o.Value == nil {
		return o.Bytes, nil
	}
	b, _, err := a.encode(nil, o.Value)
	if err != nil {
		return nil, fmt.Errorf("encoding a record for %s: %w", o.Topic.Name, err)
	}
	return b, nil
}
