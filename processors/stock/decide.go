package stock

import (
	"slices"
	"strings"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// decide brings every listing of the level to what it shall show, and emits a target for
// each whose quantity changed or that has none. A platform counts down by itself what it
// sells, and up what it takes back: the listings of an order's own account are decided anew
// even when the answer is the same (0 where more is promised than there is, or a limit), or
// they would go on showing the platform's own figure. While nobody has counted, nothing is
// decided.
func decide(tx *stream.Tx, level *event.StockLevel) {
	if !level.Counted {
		return
	}
	var own []*event.LinkedListing
	soldOn := orderAccount(level.Cause)
	for i, l := range level.Listings {
		if l.Unlinked {
			continue
		}
		isPaused := paused(level.Available, l.Policy, l.Paused)
		quantity := int64(0)
		if !isPaused {
			quantity = shown(level.Available, l.Multiplier, l.Policy)
		}
		fresh := l.TargetVersion == nil || l.Account == soldOn
		if !fresh && quantity == l.Target && isPaused == l.Paused {
			continue
		}
		e := new(decidedEntry)
		n := &e.listing
		copyListingTo(n, l)
		if own == nil {
			// The slice may still be the old level's.
			own = e.list[:]
			if len(level.Listings) > 1 {
				own = slices.Clone(level.Listings)
			}
		}
		own[i] = n
		n.Paused = isPaused
		if fresh || quantity != l.Target {
			e.version.Epoch, e.version.Number = targetVersion(l.LinkVersion, level.Version)
			n.Target, n.TargetVersion = quantity, &e.version
			tx.Emit(new(pushed).target(level, n, l.Target))
		}
	}
	if own != nil {
		level.Listings = own
	}
}

// decidedEntry is a listing with its target's version and, if it is its level's only one, the
// list of them, allocated at once: the hot path.
type decidedEntry struct {
	listing event.LinkedListing
	version event.Version
	list    [1]*event.LinkedListing
}

// orderAccount is the account of the order that caused a level, "" if none did.
func orderAccount(cause string) string {
	rest, ok := strings.CutPrefix(cause, "order/")
	if !ok {
		return ""
	}
	account, _, _ := strings.Cut(rest, "/")
	return account
}

// shown is what a listing shows while it is not paused: whole packs of what is available,
// less what is held back, and no more than the merchant wants to show.
func shown(available, multiplier int64, p *event.ShowPolicy) int64 {
	free := available - p.GetBuffer()
	if bp := p.GetBufferBp(); bp > 0 {
		// Rounded up: held back is held back. Divided before it is multiplied: no overflow.
		free -= available/10_000*bp + (available%10_000*bp+9_999)/10_000
	}
	if free <= 0 {
		return 0
	}
	n := free / multiplier
	if limit := p.GetMaxListed(); limit > 0 && n > limit {
		n = limit
	}
	return n
}

// paused: a listing pauses at or below one level and resumes at another, so that it does
// not flap between. Where the second is not above the first it resumes as soon as it may.
func paused(available int64, p *event.ShowPolicy, was bool) bool {
	if available <= p.GetPauseAt() {
		return true
	}
	return was && available < p.GetResumeAt()
}

// targetVersion orders all targets of one listing, whatever SKU it sells: first by the
// link, then by the level.
func targetVersion(link, level *event.Version) (epoch, number int64) {
	return flat(link), flat(level)
}

// flat makes one number of a version. 2^40 records of one partition are more than ever are.
func flat(v *event.Version) int64 { return v.GetEpoch()<<40 + v.GetNumber() }

// pushed is a target with what it points to and its key, allocated at once: the hot path.
type pushed struct {
	push     event.PushTarget
	believed int64
	// Longer keys are elsewhere.
	key [48]byte
}

// target is a listing's decision as an output. was is what it was to show before.
func (p *pushed) target(level *event.StockLevel, l *event.LinkedListing, was int64) stream.Output {
	t := &p.push
	t.Connector, t.Account, t.ListingId, t.StockId = l.Connector, l.Account, l.ListingId, l.StockId
	t.Location, t.Sku, t.Quantity, t.Version = l.Location, level.Sku, l.Target, l.TargetVersion
	t.Decrease, t.DecidedMs, t.Cause, t.Withdrawn = l.Target < was, level.ChangedMs, level.Cause, l.Unlinked
	if l.AcceptedVersion != nil && l.Accepted != unknown {
		p.believed = l.Accepted
		t.Believed = &p.believed
		t.Decrease = t.Decrease || l.Target < p.believed
	}
	key := append(append(append(p.key[:0], l.Account...), '/'), l.ListingId...)
	// While a listing changes from one SKU to another, both decide about it: the newest
	// decision is the one with the highest version then, not the last in the batch.
	return stream.Output{Topic: schemas.PushTargets, Key: key, Value: t, Latest: true, LatestOf: level.Sku}
}
