package stock

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas/event"
)

func TestShown(t *testing.T) {
	for _, c := range []struct {
		available, multiplier int64
		policy                *event.ShowPolicy
		want                  int64
	}{
		{10, 1, nil, 10},
		{0, 1, nil, 0},
		{10, 6, nil, 1},
		{5, 6, nil, 0},
		{10, 1, &event.ShowPolicy{Buffer: 3}, 7},
		{2, 1, &event.ShowPolicy{Buffer: 3}, 0},
		{10, 1, &event.ShowPolicy{BufferBp: 1000}, 9},
		{11, 1, &event.ShowPolicy{BufferBp: 1000}, 9}, // 1.1 held back is 2 held back
		{10, 1, &event.ShowPolicy{BufferBp: 10_000}, 0},
		{13, 6, &event.ShowPolicy{Buffer: 1, BufferBp: 100}, 1},
		{10, 1, &event.ShowPolicy{MaxListed: 4}, 4},
		{24, 6, &event.ShowPolicy{MaxListed: 5}, 4},
		{math.MaxInt64 / 2, 1, &event.ShowPolicy{BufferBp: 5000}, math.MaxInt64/2 - math.MaxInt64/4 - 1},
	} {
		if got := shown(c.available, c.multiplier, c.policy); got != c.want {
			t.Errorf("%d available, packs of %d, %v: got %d, want %d", c.available, c.multiplier, c.policy, got, c.want)
		}
	}
}

// TestHysteresis: between the two levels nothing flaps.
func TestHysteresis(t *testing.T) {
	p := &event.ShowPolicy{PauseAt: 2, ResumeAt: 5}
	_, m := newRoom(t)
	feed(m, count("S", "a", 10), link("S", "L", 1, 1, p))
	drain(t, m, 1)
	var got []int64
	for i, reserved := range []int64{6, 7, 8, 7, 6, 8, 6, 5, 6, 7, 8, 9, 5, 10, 0} {
		feed(m, move("S", "o", int64(i+1), 0, reserved))
		if ts := targets(drain(t, m, 1)); len(ts) > 0 {
			got = append(got, ts[0].Quantity)
		} else {
			got = append(got, -1)
		}
	}
	// available: 4 3 2 3 4 2 4 5 4 3 2 1 5 0 10; -1 = no new target
	want := []int64{4, 3, 0, -1, -1, -1, -1, 5, 4, 3, 0, -1, 5, 0, 10}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("targets (-want +got):\n%s", diff)
	}
	for _, c := range []struct {
		available int64
		policy    *event.ShowPolicy
		was, want bool
	}{
		{0, nil, false, true}, {1, nil, true, false}, {1, nil, false, false},
		{3, &event.ShowPolicy{PauseAt: 3, ResumeAt: 1}, true, true},
		{4, &event.ShowPolicy{PauseAt: 3, ResumeAt: 1}, true, false},
	} {
		if got := paused(c.available, c.policy, c.was); got != c.want {
			t.Errorf("%d available, %v, paused %v: got %v", c.available, c.policy, c.was, got)
		}
	}
}

// TestOneSKUManyListings: three ASIN-like, five item-id-like and a six-pack of one SKU.
func TestOneSKUManyListings(t *testing.T) {
	room, m := newRoom(t)
	var ins []*event.StockInput
	want := make(map[string]int64)
	for i := range 3 {
		id := fmt.Sprintf("B00EXAMPL%d+MUG-%d", i, i)
		ins, want[id] = append(ins, link("MUG", id, 1, int64(i+1), nil)), 20
	}
	for i := range 5 {
		id := fmt.Sprintf("11000000000%d", i)
		ins, want[id] = append(ins, link("MUG", id, 1, int64(i+4), &event.ShowPolicy{MaxListed: 10, Buffer: 2})), 10
	}
	ins, want["SIX"] = append(ins, link("MUG", "SIX", 6, 9, nil)), 3
	feed(m, ins...)
	feed(m, count("MUG", "a", 20))
	if diff := cmp.Diff(want, quantities(drain(t, m, 3))); diff != "" {
		t.Errorf("shown (-want +got):\n%s", diff)
	}

	// A six-pack is sold: six units less, everywhere, and only what changes is told.
	feed(m, move("MUG", "order/1", 1, 0, 6))
	out := drain(t, m, 1)
	delete(want, "SIX")
	for id, q := range want {
		if q == 20 {
			want[id] = 14
		} else {
			delete(want, id) // 12 are free, but no more than 10 are shown: as before
		}
	}
	want["SIX"] = 2
	if diff := cmp.Diff(want, quantities(out)); diff != "" {
		t.Errorf("after a sale (-want +got):\n%s", diff)
	}
	for _, target := range targets(out) {
		if !target.Decrease || target.Cause != "order/1" {
			t.Errorf("target %v: want a decrease because of order/1", target)
		}
	}
	if n := len(levelOf(room, m, "MUG").Listings); n != 9 {
		t.Errorf("%d listings, want 9", n)
	}
}

// TestNothingIsShownBeforeACount: a shop that is connected before its stock is known is not
// set to nothing.
func TestNothingIsShownBeforeACount(t *testing.T) {
	room, m := newRoom(t)
	feed(m, link("S", "L", 1, 1, nil), move("S", "o", 1, 0, 1))
	if got := targets(drain(t, m, 1)); got != nil {
		t.Fatalf("decided %v before anybody counted", got)
	}
	if levelOf(room, m, "S").Oversold != 1 {
		t.Error("sold without stock, and no word of it")
	}
	feed(m, count("S", "a", 0))
	got := targets(drain(t, m, 1))
	if len(got) != 1 || got[0].Quantity != 0 {
		t.Errorf("counted none: got %v, want one target of 0", got)
	}
}

// TestRelinking: whatever SKU a listing sells, its newest target wins, in whatever order
// the two SKUs' partitions are heard.
func TestRelinking(t *testing.T) {
	_, m := newRoom(t)
	feed(m, count("OLD", "a", 5), count("NEW", "a", 8), link("OLD", "L", 1, 3, nil))
	drain(t, m, 1)
	// Many changes of OLD after the switch: they must not win over NEW's decision.
	feed(m, link("NEW", "L", 1, 7, nil))
	toNew := targets(drain(t, m, 1))[0]
	feed(m, move("OLD", "o", 1, 0, 1), move("OLD", "o", 2, 0, 2), unlink("OLD", "L", 7))
	outputs := drain(t, m, 1)
	late := targets(outputs)
	last := late[len(late)-1]
	if !last.Withdrawn || !stream.VersionOf(last.Version).Before(stream.VersionOf(toNew.Version)) {
		t.Errorf("withdrawn %v; want it older than %v", last, toNew)
	}
	if stream.VersionOf(last.Version).Before(stream.VersionOf(late[0].Version)) {
		t.Errorf("withdrawn %v; want it newer than OLD's own %v", last, late[0])
	}
	// The old link, late: it does not come back.
	feed(m, link("OLD", "L", 1, 3, nil), link("OLD", "L", 1, 5, nil), move("OLD", "o", 3, 0, 0))
	if got := targets(drain(t, m, 1)); got != nil {
		t.Errorf("an unlinked listing was decided: %v", got)
	}
	// And back again, on purpose.
	feed(m, link("OLD", "L", 1, 9, nil))
	if got := targets(drain(t, m, 1)); len(got) != 1 || got[0].Quantity != 5 || !stream.VersionOf(toNew.Version).Before(stream.VersionOf(got[0].Version)) {
		t.Errorf("linked again: got %v, want 5, newer than NEW's", got)
	}
}

func TestLinkChanges(t *testing.T) {
	_, m := newRoom(t)
	feed(m, count("S", "a", 12), link("S", "L", 1, 1, nil))
	drain(t, m, 1)
	for _, c := range []struct {
		name string
		in   *event.StockInput
		want []int64
	}{
		{"the same again", link("S", "L", 1, 1, nil), nil},
		{"the same, newer", link("S", "L", 1, 2, nil), nil},
		{"an older one", link("S", "L", 9, 1, nil), nil},
		{"a pack", link("S", "L", 6, 3, nil), []int64{2}},
		{"a policy without effect", link("S", "L", 6, 4, &event.ShowPolicy{MaxListed: 100}), []int64{2}},
		{"a buffer", link("S", "L", 6, 5, &event.ShowPolicy{Buffer: 1}), []int64{1}},
		{"unlinked", unlink("S", "L", 6), []int64{0}},
		{"unlinked again", unlink("S", "L", 6), nil},
		{"never linked", unlink("S", "M", 6), nil},
	} {
		feed(m, c.in)
		var got []int64
		for _, target := range targets(drain(t, m, 1)) {
			got = append(got, target.Quantity)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: targets (-want +got):\n%s", c.name, diff)
		}
	}
}

// TestOutcomes: what a target believes follows from what the push sink reported.
func TestOutcomes(t *testing.T) {
	_, m := newRoom(t)
	feed(m, count("S", "a", 10), link("S", "L", 1, 1, nil))
	first := targets(drain(t, m, 1))[0]
	if first.Believed != nil || first.Decrease {
		t.Fatalf("first target %v: nothing is believed yet", first)
	}
	older := &event.Version{Epoch: first.Version.Epoch, Number: first.Version.Number - 1}
	readBack := outcome("S", "L", 10, first.Version, event.Outcome_OUTCOME_REFUSED)
	shown := int64(7)
	readBack.GetOutcome().ReadBack = &shown
	reserved := int64(0)
	for _, c := range []struct {
		name string
		in   *event.StockInput
		want *int64
	}{
		{"refused: nothing known", outcome("S", "L", 10, first.Version, event.Outcome_OUTCOME_REFUSED), nil},
		{"accepted", outcome("S", "L", 10, first.Version, event.Outcome_OUTCOME_ACCEPTED), p(10)},
		{"an older one, late", outcome("S", "L", 99, older, event.Outcome_OUTCOME_ACCEPTED), p(10)},
		{"superseded", outcome("S", "L", 99, first.Version, event.Outcome_OUTCOME_SUPERSEDED), p(10)},
		{"not sent", outcome("S", "L", 99, first.Version, event.Outcome_OUTCOME_NOT_SENT), p(10)},
		{"unknown", outcome("S", "L", 9, first.Version, event.Outcome_OUTCOME_UNKNOWN), nil},
		{"refused, and read back", readBack, p(7)},
		{"another listing's", outcome("S", "M", 1, first.Version, event.Outcome_OUTCOME_ACCEPTED), p(7)},
	} {
		reserved++
		feed(m, c.in)
		if ts := targets(drain(t, m, 1)); ts != nil {
			t.Errorf("%s: an outcome decided %v", c.name, ts)
		}
		feed(m, move("S", "o", reserved, 0, reserved))
		ts := targets(drain(t, m, 1))
		if len(ts) != 1 || !cmp.Equal(ts[0].Believed, c.want) {
			t.Errorf("%s: targets %v, want believed %v", c.name, ts, c.want)
		}
	}
	feed(m, move("S", "o", 50, 0, 1)) // 9 are free: more than the 2 of before, more than 7
	if ts := targets(drain(t, m, 1)); len(ts) != 1 || ts[0].Decrease {
		t.Errorf("an increase: got %v", ts)
	}
}

// TestGivenBack: a target that the push sink gave back is decided anew, once, under a new
// version and knowing what is shown; one that is not the newest any more is not.
func TestGivenBack(t *testing.T) {
	_, m := newRoom(t)
	feed(m, count("S", "a", 10), link("S", "L", 1, 1, nil))
	first := targets(drain(t, m, 1))[0]
	back := outcome("S", "L", 10, first.Version, event.Outcome_OUTCOME_GIVEN_BACK)
	back.GetOutcome().ReadBack = p(7)
	feed(m, back)
	ts := targets(drain(t, m, 1))
	if len(ts) != 1 || ts[0].Quantity != 10 || !cmp.Equal(ts[0].Believed, p(7)) || ts[0].Decrease ||
		!stream.VersionOf(first.Version).Before(stream.VersionOf(ts[0].Version)) || !strings.HasPrefix(ts[0].Cause, "outcome/") {
		t.Fatalf("given back: got %v, want 10 again, knowing that 7 are shown", ts)
	}
	again := outcome("S", "L", 10, first.Version, event.Outcome_OUTCOME_GIVEN_BACK)
	again.GetOutcome().ReadBack = p(6)
	feed(m, again)
	if ts := targets(drain(t, m, 1)); ts != nil {
		t.Errorf("the old one given back once more decided %v", ts)
	}
	feed(m, outcome("S", "L", 10, ts[0].Version, event.Outcome_OUTCOME_ACCEPTED), move("S", "o", 3, 0, 1))
	if ts := targets(drain(t, m, 2)); len(ts) != 1 || ts[0].Quantity != 9 || !cmp.Equal(ts[0].Believed, p(10)) {
		t.Errorf("after it was accepted: got %v, want 9 where 10 are shown", ts)
	}
}

// TestGivenBackBelowNothing: a shop that sold more than it had shows less than nothing. That is
// a figure like any other, -1 too: a target decided without knowing it is given back for ever.
func TestGivenBackBelowNothing(t *testing.T) {
	for _, shown := range []int64{-1, -2, 0} {
		_, m := newRoom(t)
		feed(m, count("S", "a", 10), link("S", "L", 1, 1, nil))
		first := targets(drain(t, m, 1))[0]
		back := outcome("S", "L", 10, first.Version, event.Outcome_OUTCOME_GIVEN_BACK)
		back.GetOutcome().ReadBack = p(shown)
		feed(m, back)
		if ts := targets(drain(t, m, 1)); len(ts) != 1 || !cmp.Equal(ts[0].Believed, p(shown)) {
			t.Errorf("%d is shown: got %v, want a target that knows it", shown, ts)
		}
	}
}

// TestIntermediateTargetsAreCoalesced: of one batch only the last decision is told.
func TestIntermediateTargetsAreCoalesced(t *testing.T) {
	_, m := newRoom(t)
	feed(m, count("S", "a", 10), link("S", "L", 1, 1, nil), move("S", "o", 1, 0, 1), move("S", "p", 1, 0, 2))
	got := targets(drain(t, m, 4))
	if len(got) != 1 || got[0].Quantity != 7 {
		t.Errorf("got %v, want one target of 7", got)
	}
}

// TestTwoSKUsOfOneListingInOneBatch: what the old SKU says last does not hide what the new
// one decided.
func TestTwoSKUsOfOneListingInOneBatch(t *testing.T) {
	_, m := newRoom(t)
	feed(m, count("OLD", "a", 5), count("NEW", "a", 8), link("OLD", "L", 1, 3, nil))
	drain(t, m, 3)
	feed(m, link("NEW", "L", 1, 7, nil), move("OLD", "o", 1, 0, 1), unlink("OLD", "L", 7))
	if got := shows(drain(t, m, 3))["L"]; got == nil || got.Sku != "NEW" || got.Quantity != 8 {
		t.Errorf("got %v, want NEW's 8", got)
	}
}

// TestOwnSaleIsAnsweredAlways: a platform counts down by itself what it sells. Where our
// answer stays the same (nothing is left, or a limit), it is given again all the same, or the
// platform would go on showing its own figure. The other accounts' listings are left alone.
func TestOwnSaleIsAnsweredAlways(t *testing.T) {
	_, m := newRoom(t)
	own := link("S", "own", 1, 1, &event.ShowPolicy{MaxListed: 3})
	own.GetLink().Account = "seller"
	feed(m, count("S", "opening", 10), own, link("S", "other", 1, 2, &event.ShowPolicy{MaxListed: 3}))
	drain(t, m, 10)
	for _, c := range []struct {
		reserved, want int64
	}{{1, 3}, {12, 0}, {13, 0}} {
		feed(m, move("S", fmt.Sprintf("order/seller/%d", c.reserved), c.reserved, 0, c.reserved))
		got := targets(drain(t, m, 1))
		var mine []int64
		for _, g := range got {
			if g.Account == "seller" {
				mine = append(mine, g.Quantity)
			}
		}
		if len(mine) != 1 || mine[0] != c.want {
			t.Errorf("after a sale of %d on its own account the listing is told %v, want [%d]", c.reserved, mine, c.want)
		}
	}
}

func p(n int64) *int64 { return &n }

// TestSoldAndGivenBackAtOnce: an order that nets nothing when it is first heard of changes no
// level, but its account has counted the sale down: its own listings are decided anew, once, and
// nobody else's.
func TestSoldAndGivenBackAtOnce(t *testing.T) {
	room, m := newRoom(t)
	other := link("S", "M", 1, 2, nil)
	other.GetLink().Account = "elsewhere"
	feed(m, count("S", "a", 5), link("S", "L", 1, 1, nil), other)
	drain(t, m, 3)
	before := levelOf(room, m, "S")

	feed(m, move("S", "order/shop/1", 1, 0, 0))
	if diff := cmp.Diff(map[string]int64{"L": 5}, quantities(drain(t, m, 1))); diff != "" {
		t.Errorf("shown (-want +got):\n%s", diff)
	}
	if l := levelOf(room, m, "S"); l.Available != 5 || !stream.VersionOf(before.Version).Before(stream.VersionOf(l.Version)) {
		t.Errorf("got %v after %v", l, before)
	}
	feed(m, move("S", "order/shop/1", 2, 0, 0), move("S", "order/third/1", 1, 0, 0), move("T", "order/shop/1", 1, 0, 0))
	if got := targets(drain(t, m, 3)); got != nil {
		t.Errorf("decided %v without a reason", got)
	}
}
