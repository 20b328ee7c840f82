package stock

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// ledger is the oracle: every cause's newest figures, and nothing else.
type ledger map[[3]string]*event.StockMove // SKU, warehouse, move

func (l ledger) take(m *event.StockMove) {
	warehouse := m.Warehouse
	if warehouse == "" {
		warehouse = "main"
	}
	k := [3]string{m.Sku, warehouse, m.MoveId}
	if old := l[k]; old == nil || stream.VersionOf(old.CauseVersion).Before(stream.VersionOf(m.CauseVersion)) {
		l[k] = m
	}
}

// check compares a level with the sums of the ledger.
func (l ledger) check(t *rapid.T, sku string, level *event.StockLevel) {
	sums, reserved := make(map[string]int64), make(map[string]int64)
	var wantOnHand, wantReserved, wantShort int64
	for k, m := range l {
		if k[0] == sku {
			sums[k[1]] += m.OnHand
			reserved[k[1]] += m.Reserved
			wantReserved += m.Reserved
		}
	}
	for _, sum := range sums {
		wantOnHand += max(0, sum)
		wantShort += max(0, -sum)
	}
	if level.GetOnHand() != wantOnHand || level.GetReserved() != wantReserved || level.GetShort() != wantShort {
		t.Fatalf("SKU %s: got %v, want on hand %d, reserved %d, short %d", sku, level, wantOnHand, wantReserved, wantShort)
	}
	if level.GetAvailable() != max(0, wantOnHand-wantReserved) || level.GetOversold() != max(0, wantReserved-wantOnHand) {
		t.Fatalf("SKU %s: available %d, oversold %d of %d on hand, %d reserved", sku, level.GetAvailable(), level.GetOversold(), wantOnHand, wantReserved)
	}
	for _, w := range level.GetWarehouses() {
		if w.Sum != sums[w.Warehouse] || w.Reserved != reserved[w.Warehouse] || w.OnHand < 0 {
			t.Fatalf("SKU %s: warehouse %v, want sum %d, reserved %d", sku, w, sums[w.Warehouse], reserved[w.Warehouse])
		}
	}
}

var skus = []string{"S", "T"}

// TestLedgerEqualsProjectionAtEveryOffset: after each record the levels are the sums of the
// newest figures, whatever came twice, late or out of order.
func TestLedgerEqualsProjectionAtEveryOffset(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		room, m := newRoom(t)
		history := rapid.SliceOfN(rapid.Custom(drawMove), 1, 40).Draw(t, "moves")
		l := make(ledger)
		for _, in := range history {
			feed(m, in)
			if _, err := m.Step(1, stream.NoCrash); err != nil {
				t.Fatalf("step: %v", err)
			}
			l.take(in.GetMove())
			for _, sku := range skus {
				l.check(t, sku, levelOf(room, m, sku))
			}
		}
	})
}

// TestModel feeds random histories with crashes, fall-backs of Redis and batches of any cut,
// and compares state, targets, alarms and the tables' topics with the oracle.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		room, m := newRoom(t)
		moves := rapid.SliceOfN(rapid.Custom(drawMove), 1, 25).Draw(t, "moves")
		links := rapid.SliceOfN(rapid.Custom(drawLink), 0, 10).Draw(t, "links")
		history := slices.Concat(moves, links, duplicates(t, moves), duplicates(t, links))
		history = rapid.Permutation(history).Draw(t, "arrival")
		feed(m, history...)
		run(t, m)

		l := make(ledger)
		for _, in := range moves {
			l.take(in.GetMove())
		}
		for _, sku := range skus {
			level := levelOf(room, m, sku)
			l.check(t, sku, level)
			checkLinks(t, sku, level, links)
		}
		checkTargets(t, room, m)
		checkAlarms(t, room, m)
		checkTables(t, room, m)
	})
}

func duplicates(t *rapid.T, of []*event.StockInput) []*event.StockInput {
	if len(of) == 0 {
		return nil
	}
	return rapid.SliceOfN(rapid.SampledFrom(of), 0, 10).Draw(t, "duplicates")
}

func drawMove(t *rapid.T) *event.StockInput {
	id := rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "move")
	version := rapid.Int64Range(0, 3).Draw(t, "version")
	sku := rapid.SampledFrom(skus).Draw(t, "sku")
	warehouse := rapid.SampledFrom([]string{"", "main", "north"}).Draw(t, "warehouse")
	in := move(sku, id, version, 0, 0)
	mv := in.GetMove()
	mv.Warehouse = warehouse
	// A version names one state: its figures follow from it.
	seed := int64(id[0])*31 + version*17 + int64(sku[0])*7
	if warehouse == "north" {
		seed += 3
	}
	mv.OnHand, mv.Reserved = seed%13-5, max(0, seed%9-4)
	if id == "a" {
		mv.Kind, mv.Reserved = event.MoveKind_MOVE_KIND_CORRECTION, 0
	}
	return in
}

func drawLink(t *rapid.T) *event.StockInput {
	version := rapid.Int64Range(1, 6).Draw(t, "version")
	listing := rapid.SampledFrom([]string{"L", "M"}).Draw(t, "listing")
	sku := skus[(version/2)%2]
	if rapid.IntRange(0, 3).Draw(t, "unlink") == 0 {
		return unlink(skus[1-(version/2)%2], listing, version)
	}
	return link(sku, listing, 1+version%3, version, &event.ShowPolicy{Buffer: version % 2, PauseAt: version % 3, ResumeAt: 4})
}

func run(t *rapid.T, m *stream.Memory) {
	var kept any
	for m.Pending() > 0 {
		if rapid.IntRange(0, 3).Draw(t, "keep") == 0 {
			kept = m.Snapshot()
		}
		crash := stream.Crash(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "crash"))
		if _, err := m.Step(rapid.IntRange(1, 6).Draw(t, "batch"), crash); err != nil {
			t.Fatalf("step: %v", err)
		}
		if kept != nil && rapid.IntRange(0, 7).Draw(t, "fall back") == 0 {
			m.Restore(kept)
		}
	}
	m.Look()
	if _, err := m.Drain(3); err != nil {
		t.Fatalf("drain: %v", err)
	}
}

// checkLinks: a SKU's listings are those whose newest word is a link to it.
func checkLinks(t *rapid.T, sku string, level *event.StockLevel, links []*event.StockInput) {
	newest := make(map[string]*event.ListingLink)
	tied := make(map[string]bool)
	for _, in := range links {
		l := in.GetLink()
		old := newest[l.ListingId]
		if l.Sku != sku || old != nil && l.Version.Number < old.Version.Number {
			continue
		}
		// Link and end of one version to one SKU do not occur: draws do, here.
		tied[l.ListingId] = old != nil && l.Version.Number == old.Version.Number && l.Unlinked != old.Unlinked ||
			tied[l.ListingId] && l.Version.Number == old.Version.Number
		newest[l.ListingId] = l
	}
	for id, want := range newest {
		at := find(level, "shop", id)
		if at < 0 || !tied[id] && (level.Listings[at].Unlinked != want.Unlinked || level.Listings[at].LinkVersion.Number != want.Version.Number) {
			t.Fatalf("SKU %s, listing %s: got %v, want %v", sku, id, level, want)
		}
	}
}

// checkTargets: the newest target of each SKU and listing is what the level decides, and
// within the rules.
func checkTargets(t *rapid.T, room *Room, m *stream.Memory) {
	newest := make(map[string]*event.PushTarget)
	for _, target := range targets(m.Emitted) {
		k := target.Sku + "/" + target.ListingId
		if old := newest[k]; old == nil || !stream.VersionOf(target.Version).Before(stream.VersionOf(old.Version)) {
			newest[k] = target
		}
	}
	for _, sku := range skus {
		level := levelOf(room, m, sku)
		for _, l := range level.GetListings() {
			got := newest[sku+"/"+l.ListingId]
			switch {
			case l.Unlinked:
				if got != nil && !got.Withdrawn {
					t.Fatalf("SKU %s: unlinked %v, but the newest target is %v", sku, l, got)
				}
			case !level.Counted:
				if got != nil && !got.Withdrawn {
					t.Fatalf("SKU %s: nobody counted, but %v was decided", sku, got)
				}
			default:
				want := int64(0)
				if !l.Paused {
					want = max(0, (level.Available-l.Policy.Buffer)/l.Multiplier)
				}
				if got == nil || got.Withdrawn || got.Quantity != want || level.Available <= l.Policy.PauseAt && want != 0 {
					t.Fatalf("SKU %s %v: newest target of %v is %v, want %d", sku, level, l, got, want)
				}
			}
		}
	}
}

// checkAlarms: the last alarm about each thing says how it is.
func checkAlarms(t *rapid.T, room *Room, m *stream.Memory) {
	type about struct{ sku, warehouse string }
	last := make(map[about]int64)
	version := make(map[about]stream.Version)
	for _, o := range m.Emitted {
		if o.Topic.Name != schemas.StockAlarms.Name {
			continue
		}
		a := o.Value.(*event.StockAlarm)
		k := about{a.Sku, a.Warehouse}
		if v := stream.VersionOf(a.Version); !v.Before(version[k]) {
			last[k], version[k] = a.Units, v
		}
	}
	for _, sku := range skus {
		level := levelOf(room, m, sku)
		if got := last[about{sku, ""}]; got != level.GetOversold() {
			t.Fatalf("SKU %s: last alarm says %d oversold, level %v", sku, got, level)
		}
		for _, w := range level.GetWarehouses() {
			if got := last[about{sku, w.Warehouse}]; got != shortOf(w) {
				t.Fatalf("SKU %s, %s: last alarm says %d short, level %v", sku, w.Warehouse, got, level)
			}
		}
	}
}

// checkTables: the newest versions on the tables' topics are the state.
func checkTables(t *rapid.T, room *Room, m *stream.Memory) {
	newest := make(map[string]stream.Version)
	value := make(map[string][]byte)
	for _, o := range m.Emitted {
		if o.Topic.Name != schemas.StockLevels.Name && o.Topic.Name != schemas.StockClaims.Name {
			continue
		}
		var v stream.Version
		for _, h := range o.Headers {
			if h.Key == schemas.HeaderVersion {
				v, _ = stream.ParseVersion(string(h.Value))
			}
		}
		k := o.Topic.Name + " " + string(o.Key)
		if v.Before(newest[k]) {
			continue
		}
		newest[k], value[k] = v, o.Bytes
		if o.Bytes == nil {
			value[k], _ = o.Value.MarshalVTStrict()
		}
	}
	for _, table := range room.Tables() {
		m.Entries(table, func(id string, entry stream.Message) {
			want, _ := entry.MarshalVTStrict()
			k := table.Topic.Name + " " + id
			if got, ok := value[k]; !ok || !bytes.Equal(got, want) {
				t.Fatalf("%s: its topic says %x, the state %x", k, got, want)
			}
			delete(value, k)
		})
	}
	for k := range value {
		t.Fatalf("%s is on its topic, but not in the state", k)
	}
}
