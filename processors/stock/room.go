package stock

import (
	"fmt"
	"strings"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// Config of the room.
type Config struct {
	// Warehouse of moves that name none; "main" when empty.
	Warehouse string
}

// Room is the stock room.
type Room struct {
	warehouse string
	// between is what stands in a claim's id between SKU and move, of the default warehouse.
	between        string
	levels, claims *stream.Table
}

// New makes the room.
func New(cfg Config) (*Room, error) {
	r := &Room{
		warehouse: cfg.Warehouse,
		levels: &stream.Table{
			Name: "levels", Topic: schemas.StockLevels,
			New: func() stream.Message { return new(event.StockLevel) },
		},
		claims: &stream.Table{
			Name: "claims", Topic: schemas.StockClaims,
			New:          func() stream.Message { return new(event.Claim) },
			PartitionKey: skuOfClaim,
		},
	}
	if r.warehouse == "" {
		r.warehouse = "main"
	}
	r.between = ClaimID("", r.warehouse, "")
	return r, nil
}

// Name is the stage's name.
func (*Room) Name() string { return "stock" }

// Inputs is stock.in.
func (*Room) Inputs() []schemas.Topic { return []schemas.Topic{schemas.StockIn} }

// Tables is levels and claims.
func (r *Room) Tables() []*stream.Table { return []*stream.Table{r.levels, r.claims} }

// Levels is the table of levels; its entries' ids are SKUs.
func (r *Room) Levels() *stream.Table { return r.levels }

// Claims is the table of claims; for its entries' ids see ClaimID.
func (r *Room) Claims() *stream.Table { return r.claims }

// escape keeps the separator of claim ids out of their parts.
var escape = strings.NewReplacer("%", "%25", "|", "%7C")
var unescape = strings.NewReplacer("%7C", "|", "%25", "%")

// ClaimID is a claim's entry id: SKU|warehouse|move.
func ClaimID(sku, warehouse, move string) string {
	if strings.ContainsAny(sku, "%|") {
		sku = escape.Replace(sku)
	}
	if strings.ContainsAny(warehouse, "%|") {
		warehouse = escape.Replace(warehouse)
	}
	return sku + "|" + warehouse + "|" + move
}

// skuOfClaim: a claim lies in the partition of its SKU.
func skuOfClaim(id string) string {
	sku, _, _ := strings.Cut(id, "|")
	if strings.Contains(sku, "%") {
		return unescape.Replace(sku)
	}
	return sku
}

// maxFigure bounds a move's figures: more is a mistake, and would overflow sums.
const maxFigure = 1 << 40

// maxListings of one SKU: the level carries them all.
const maxListings = 1000

// Prepare decodes. Keys are pairs of level and claim for moves, one level for the rest. A move
// that is alone is heard; the rest is the message itself.
func (r *Room) Prepare(rec *stream.Record) (stream.Input, error) {
	if h := r.hear(rec.Value); h != nil {
		return stream.Input{Keys: h.keys[:], Value: h}, nil
	}
	in := new(event.StockInput)
	if err := in.UnmarshalVT(rec.Value); err != nil {
		return stream.Input{}, fmt.Errorf("decoding a stock input: %w: %w", connectors.ErrMalformed, err)
	}
	var keys []stream.Key
	switch v := in.Input.(type) {
	case *event.StockInput_Move:
		if err := checkMove(v.Move); err != nil {
			return stream.Input{}, err
		}
		keys = r.moveKeys(make([]stream.Key, 0, 2), v.Move)
	case *event.StockInput_Moves:
		moves := v.Moves.GetMoves()
		if len(moves) == 0 {
			return stream.Input{}, fmt.Errorf("stock moves without a move: %w", connectors.ErrUnsupported)
		}
		keys = make([]stream.Key, 0, 2*len(moves))
		for _, m := range moves {
			if err := checkMove(m); err != nil {
				return stream.Input{}, err
			}
			keys = r.moveKeys(keys, m)
		}
	case *event.StockInput_Link:
		if err := checkLink(v.Link); err != nil {
			return stream.Input{}, err
		}
		keys = []stream.Key{{Table: r.levels, ID: v.Link.Sku}}
	case *event.StockInput_Outcome:
		o := v.Outcome
		if o.GetSku() == "" || o.Account == "" || o.ListingId == "" || o.TargetVersion == nil {
			return stream.Input{}, fmt.Errorf("push outcome without SKU, listing or target version: %w", connectors.ErrMalformed)
		}
		keys = []stream.Key{{Table: r.levels, ID: o.Sku}}
	default:
		return stream.Input{}, fmt.Errorf("stock input of a kind that this version does not know: upgrade and redrive: %w", connectors.ErrUnsupported)
	}
	return stream.Input{Keys: keys, Value: in}, nil
}

func (r *Room) moveKeys(keys []stream.Key, m *event.StockMove) []stream.Key {
	if m.Warehouse == "" {
		m.Warehouse = r.warehouse
	}
	return append(keys,
		stream.Key{Table: r.levels, ID: m.Sku},
		stream.Key{Table: r.claims, ID: ClaimID(m.Sku, m.Warehouse, m.MoveId)})
}

func checkMove(m *event.StockMove) error {
	if m.GetSku() == "" || m.MoveId == "" || m.CauseVersion == nil {
		return fmt.Errorf("stock move %q without SKU, move id or version: %w", m.GetMoveId(), connectors.ErrMalformed)
	}
	if !inBounds(m.OnHand, m.Reserved) {
		return fmt.Errorf("stock move %s of SKU %s: on hand %d, reserved %d: %w", m.MoveId, m.Sku, m.OnHand, m.Reserved, connectors.ErrMalformed)
	}
	return nil
}

func inBounds(onHand, reserved int64) bool {
	return onHand <= maxFigure && onHand >= -maxFigure && reserved >= 0 && reserved <= maxFigure
}

func checkLink(l *event.ListingLink) error {
	if l.GetSku() == "" || l.Account == "" || l.ListingId == "" || l.Version == nil {
		return fmt.Errorf("link without SKU, listing or version: %w", connectors.ErrMalformed)
	}
	if !l.Unlinked && (l.Multiplier < 1 || l.Multiplier > maxFigure) {
		return fmt.Errorf("link of %s/%s to SKU %s: multiplier %d: %w", l.Account, l.ListingId, l.Sku, l.Multiplier, connectors.ErrMalformed)
	}
	return nil
}

// Apply folds one input into its levels.
func (r *Room) Apply(tx *stream.Tx, _ *stream.Record, in stream.Input) error {
	if h, ok := in.Value.(*heard); ok {
		r.move(tx, h)
		return nil
	}
	var h heard
	switch v := in.Value.(*event.StockInput).Input.(type) {
	case *event.StockInput_Move:
		h.of(v.Move, in.Keys)
		r.move(tx, &h)
	case *event.StockInput_Moves:
		for i, m := range v.Moves.Moves {
			h.of(m, in.Keys[2*i:2*i+2])
			r.move(tx, &h)
		}
	case *event.StockInput_Link:
		return r.link(tx, in.Keys[0], v.Link)
	case *event.StockInput_Outcome:
		r.outcome(tx, in.Keys[0], v.Outcome)
	}
	return nil
}

// Repeat emits what the levels say now. A link that was refused is refused again: its dead
// letter may have been lost.
func (r *Room) Repeat(tx *stream.Tx, _ *stream.Record, in stream.Input) error {
	if other, ok := in.Value.(*event.StockInput); ok && other.GetLink() != nil {
		level, _ := tx.Get(in.Keys[0]).(*event.StockLevel)
		if err := full(level, other.GetLink()); err != nil {
			return err
		}
	}
	for i, k := range in.Keys {
		if repeatedBefore(in.Keys[:i], k) {
			continue
		}
		tx.Again(k)
		if level, _ := tx.Get(k).(*event.StockLevel); level != nil {
			for _, l := range level.Listings {
				if l.TargetVersion != nil {
					tx.Emit(new(pushed).target(level, l, l.Target))
				}
			}
			// Only what may not have been told: an alarm that this record or a later one raised.
			if a := level.AlarmVersion; a != nil && !stream.VersionOf(a).Before(stream.VersionOf(tx.Version())) {
				raise(tx, nil, level, true)
			}
		}
	}
	return nil
}

func repeatedBefore(keys []stream.Key, k stream.Key) bool {
	for i := range keys {
		if keys[i] == k {
			return true
		}
	}
	return false
}
