package privacy

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/helloword/crossdock/internal/kafka"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// Export is what is held of the person of a request, for whoever has to hand it over.
type Export struct {
	Account     string    `json:"account"`
	Request     string    `json:"request"`
	RequestedAt time.Time `json:"requested_at"`
	DueAt       time.Time `json:"due_at"`
	ExportedAt  time.Time `json:"exported_at"`
	// Orders as crossdock.v1.Order in Protobuf's JSON.
	Orders []json.RawMessage `json:"orders"`
	// Copies of the same data as the platform sent it lie in these topics, by age.
	Copies []string `json:"copies"`
}

// Collect looks through the orders for what is held of the person of a request.
func Collect(ctx context.Context, scan Scan, key []byte, s *event.PrivacyState, now time.Time) (*Export, error) {
	h, err := newHasher(key)
	if err != nil {
		return nil, err
	}
	if s.KeyId != "" && s.KeyId != h.id {
		return nil, fmt.Errorf("request %s/%s was hashed with another clickhouse.buyer_key than today's: put that back for the export", s.Account, s.Id)
	}
	f := newFinder(h, 0)
	all := s.CloneVT()
	all.RequestedMs = now.UnixMilli() // whatever is held today
	f.add(all)
	orders := make(map[ref]*event.Order)
	err = scan(ctx, []schemas.Topic{schemas.Orders}, func(r *kafka.Scanned) error {
		o := new(event.Order)
		if err := o.UnmarshalVT(r.Value); err != nil {
			return fmt.Errorf("order %s: %w", r.Key, err)
		}
		delete(orders, ref{o.Account, o.Id})
		if len(f.under(o)) > 0 {
			orders[ref{o.Account, o.Id}] = o
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("looking through the orders: %w", err)
	}
	e := &Export{
		Account: s.Account, Request: s.Id, RequestedAt: time.UnixMilli(s.RequestedMs).UTC(), DueAt: time.UnixMilli(s.DueMs).UTC(),
		ExportedAt: now.UTC(), Orders: []json.RawMessage{},
	}
	var keys []ref
	for k := range orders {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, compareRefs)
	for _, k := range keys {
		b, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(orders[k])
		if err != nil {
			return nil, fmt.Errorf("printing order %s/%s: %w", k.account, k.id, err)
		}
		e.Orders = append(e.Orders, b)
	}
	for _, t := range schemas.Topics() {
		if t.Personal && t.Cleanup == schemas.Delete {
			e.Copies = append(e.Copies, t.Name)
		}
	}
	return e, nil
}
