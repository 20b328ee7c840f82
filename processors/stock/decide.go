package stock

import (
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
	copied := false
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
		if !copied {
			// The slice may still be the old level's.
			level.Listings, copied = append([]*event.LinkedListing(nil), level.Listings...), true
		}
		n := copyListing(l)
		level.Listings[i] = n
		n.Paused = isPaused
		if fresh || quantity != l.Target {
			n.Target, n.TargetVersion = quantity, targetVersion(l.LinkVersion, level.Version)
			tx.Emit(target(level, n, l.Target))
		}
	}
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
func targetVersion(link, level *event.Version) *event.Version {
	return &event.Version{Epoch: flat(link), Number: flat(level)}
}

// flat makes one number of a version. 2^40 records of one partition are more than ever are.
func flat(v *event.Version) int64 { return v.GetEpoch()<<40 + v.GetNumber() }

// target is a listing's decision as an output. was is what it was to show before.
func target(level *event.StockLevel, l *event.LinkedListing, was int64) stream.Output {
	t := &event.PushTarget{
		Connector: l.Connector, Account: l.Account, ListingId: l.ListingId, StockId: l.StockId,
		Location: l.Location, Sku: level.Sku, Quantity: l.Target, Version: l.TargetVersion,
		Decrease: l.Target < was, DecidedMs: level.ChangedMs, Cause: level.Cause, Withdrawn: l.Unlinked,
	}
	if l.AcceptedVersion != nil && l.Accepted != unknown {
		believed := l.Accepted
		t.Believed = &believed
		t.Decrease = t.Decrease || l.Target < believed
	}
	key := make([]byte, 0, len(l.Account)+1+len(l.ListingId))
	key = append(append(append(key, l.Account...), '/'), l.ListingId...)
	// While a listing changes from one SKU to another, both decide about it: the newest
	// decision is the one with the highest version then, not the last in the batch.
	return stream.Output{Topic: schemas.PushTargets, Key: key, Value: t, Latest: true, LatestOf: level.Sku}
}
