package privacy

import (
	"fmt"
	"slices"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// Config of the room.
type Config struct {
	// Key of the hashes that stand for people. It must stay: a request that was hashed with
	// another one cannot be carried out.
	Key []byte
}

// Room is the privacy room.
type Room struct {
	hash  *hasher
	table *stream.Table
}

// New makes the room.
func New(cfg Config) (*Room, error) {
	h, err := newHasher(cfg.Key)
	if err != nil {
		return nil, err
	}
	return &Room{hash: h, table: &stream.Table{
		Name: "requests", Topic: schemas.PrivacyRequests, Deletes: true,
		New: func() stream.Message { return new(event.PrivacyState) },
	}}, nil
}

// Name is the stage's name.
func (*Room) Name() string { return "privacy" }

// Inputs is privacy.in.
func (*Room) Inputs() []schemas.Topic { return []schemas.Topic{schemas.PrivacyIn} }

// Tables is the requests.
func (r *Room) Tables() []*stream.Table { return []*stream.Table{r.table} }

// defaultTerm is for a request that came without its time: the shortest that a platform gives.
const defaultTerm = 30 * 24 * time.Hour

// prepared is one input, decoded, with the entry it is about.
type prepared struct {
	*event.PrivacyInput
	key stream.Key
}

// Prepare decodes.
func (r *Room) Prepare(rec *stream.Record) (stream.Input, error) {
	p := &prepared{PrivacyInput: new(event.PrivacyInput)}
	if err := p.UnmarshalVT(rec.Value); err != nil {
		return stream.Input{}, fmt.Errorf("decoding a request about people's data: %w: %w", connectors.ErrMalformed, err)
	}
	var account, id string
	switch in := p.Input.(type) {
	case *event.PrivacyInput_Request:
		account, id = in.Request.Account, in.Request.Id
		if in.Request.Kind == event.PrivacyKind_PRIVACY_KIND_UNSPECIFIED {
			return stream.Input{}, fmt.Errorf("request %s/%s is of no kind: %w", account, id, connectors.ErrMalformed)
		}
	case *event.PrivacyInput_Sweep:
		account, id = in.Sweep.Account, in.Sweep.RequestId
		if in.Sweep.AtMs <= 0 || in.Sweep.Found < 0 {
			return stream.Input{}, fmt.Errorf("a look for %s/%s without a time: %w", account, id, connectors.ErrMalformed)
		}
	case *event.PrivacyInput_Handover:
		account, id = in.Handover.Account, in.Handover.RequestId
		if in.Handover.AtMs <= 0 || in.Handover.By == "" {
			return stream.Input{}, fmt.Errorf("a handover of %s/%s by nobody, or at no time: %w", account, id, connectors.ErrMalformed)
		}
	case *event.PrivacyInput_Expiry:
		account, id = in.Expiry.Account, in.Expiry.RequestId
	default:
		return stream.Input{}, fmt.Errorf("privacy input of a kind that this version does not know: upgrade and redrive: %w", connectors.ErrUnsupported)
	}
	if account == "" || id == "" {
		return stream.Input{}, fmt.Errorf("privacy input without account or request: %w", connectors.ErrMalformed)
	}
	p.key = stream.Key{Table: r.table, ID: account + "/" + id}
	return stream.Input{Keys: []stream.Key{p.key}, Value: p}, nil
}

// Apply joins the input to the request.
func (r *Room) Apply(tx *stream.Tx, _ *stream.Record, in stream.Input) error {
	p := in.Value.(*prepared)
	old, _ := tx.Get(p.key).(*event.PrivacyState)
	if p.GetExpiry() != nil {
		if old != nil {
			tx.Delete(p.key)
		}
		return nil
	}
	now := &event.PrivacyState{}
	if old != nil {
		now = old.CloneVT()
	}
	switch x := p.Input.(type) {
	case *event.PrivacyInput_Request:
		r.request(now, x.Request, tx.TimeMs())
	case *event.PrivacyInput_Sweep:
		sweep(now, x.Sweep)
	case *event.PrivacyInput_Handover:
		handover(now, x.Handover)
	}
	if !now.EqualVT(old) {
		now.Version = tx.Version()
		tx.Put(p.key, now)
	}
	if p.GetRequest() != nil {
		forgetNamed(tx, now)
	}
	return nil
}

// Repeat emits the request, and what it demands of the orders it names, again.
func (r *Room) Repeat(tx *stream.Tx, _ *stream.Record, in stream.Input) error {
	p := in.Value.(*prepared)
	tx.Again(p.key)
	if s, _ := tx.Get(p.key).(*event.PrivacyState); s != nil && p.GetRequest() != nil {
		forgetNamed(tx, s)
	}
	return nil
}

// request joins a request: of two with one name what either says, and the earlier times.
func (r *Room) request(s *event.PrivacyState, q *event.PrivacyRequest, nowMs int64) {
	s.Connector, s.Account, s.Id, s.Kind = q.Connector, q.Account, q.Id, max(s.Kind, q.Kind)
	s.EveryAccount = s.EveryAccount || q.EveryAccount
	for _, id := range q.BuyerIds {
		s.Buyers = append(s.Buyers, r.hash.person(realm(q.Connector, q.Account, q.EveryAccount), id))
		s.KeyId = r.hash.id
	}
	s.Buyers, s.OrderIds = set(s.Buyers), set(append(s.OrderIds, q.OrderIds...))
	asked, due := q.RequestedMs, q.DueMs
	if asked == 0 {
		asked = nowMs
	}
	if due == 0 {
		due = asked + defaultTerm.Milliseconds()
	}
	s.RequestedMs, s.DueMs = earlier(s.RequestedMs, asked), earlier(s.DueMs, due)
}

// sweep joins what a look found.
func sweep(s *event.PrivacyState, w *event.PrivacySweep) {
	s.Account, s.Id = w.Account, w.RequestId
	if w.Found > 0 {
		s.Orders, s.ForgottenMs = max(s.Orders, w.Found), max(s.ForgottenMs, w.AtMs)
	} else {
		s.DoneMs = max(s.DoneMs, w.AtMs)
	}
}

// handover joins that somebody handed over; of several the last word.
func handover(s *event.PrivacyState, h *event.PrivacyHandover) {
	s.Account, s.Id = h.Account, h.RequestId
	if h.AtMs > s.DoneMs || h.AtMs == s.DoneMs && h.By+"\x00"+h.Note > s.By+"\x00"+s.Note {
		s.DoneMs, s.By, s.Note = h.AtMs, h.By, h.Note
	}
}

// forgetNamed tells the orders room of the orders that a request names. It need not wait for a
// look, and an order that has not come yet is forgotten when it does.
func forgetNamed(tx *stream.Tx, s *event.PrivacyState) {
	if s.Kind != event.PrivacyKind_PRIVACY_KIND_BUYER {
		return
	}
	for _, id := range s.OrderIds {
		tx.Emit(stream.Output{Topic: schemas.OrdersIn, Key: []byte(s.Account + "/" + id), Value: forget(s.Account, id, s.Id, s.RequestedMs)})
	}
}

func forget(account, order, request string, atMs int64) *event.OrderInput {
	return &event.OrderInput{Input: &event.OrderInput_Forget{Forget: &event.Forget{
		Account: account, OrderId: order, AtMs: atMs, RequestId: request,
	}}}
}

// set is a sorted list without repetitions.
func set(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// earlier of two times, of which 0 is none.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
