package privacy

import (
	"time"

	"github.com/helloword/crossdock/schemas/event"
)

// named reports whether an order still leads to a person.
func named(o *event.Order) bool {
	if o.Personal != nil || o.BuyerId != "" || o.GetDestination().GetPostcodePrefix() != "" {
		return true
	}
	for _, r := range o.Refunds {
		if r.Note != "" {
			return true
		}
	}
	return false
}

// ref names a request, or an order, within its account.
type ref struct{ account, id string }

// finder says which requests an order falls under.
type finder struct {
	hash *hasher
	// untilMs: what falls due before is due now.
	untilMs  int64
	orders   map[ref][]*event.PrivacyState
	buyers   map[string][]*event.PrivacyState
	accounts map[string][]*event.PrivacyState
	every    bool // some people are the same on every account
}

func newFinder(h *hasher, untilMs int64) *finder {
	return &finder{
		hash: h, untilMs: untilMs, orders: make(map[ref][]*event.PrivacyState),
		buyers: make(map[string][]*event.PrivacyState), accounts: make(map[string][]*event.PrivacyState),
	}
}

// add takes up a request.
func (f *finder) add(s *event.PrivacyState) {
	if s.Kind == event.PrivacyKind_PRIVACY_KIND_ACCOUNT {
		f.accounts[s.Account] = append(f.accounts[s.Account], s)
		return
	}
	for _, id := range s.OrderIds {
		k := ref{s.Account, id}
		f.orders[k] = append(f.orders[k], s)
	}
	for _, b := range s.Buyers {
		f.buyers[b] = append(f.buyers[b], s)
		f.every = f.every || s.EveryAccount
	}
}

// under is the requests that an order falls under. An order that was placed after a request was
// made is another matter, unless the request names it.
func (f *finder) under(o *event.Order) (found []*event.PrivacyState) {
	before := func(list []*event.PrivacyState) {
		for _, s := range list {
			if o.CreatedMs <= s.RequestedMs {
				found = append(found, s)
			}
		}
	}
	found = append(found, f.orders[ref{o.Account, o.Id}]...)
	before(f.accounts[o.Account])
	if o.BuyerId != "" && len(f.buyers) > 0 {
		before(f.buyers[f.hash.person(realm(o.Connector, o.Account, false), o.BuyerId)])
		if f.every {
			before(f.buyers[f.hash.person(realm(o.Connector, o.Account, true), o.BuyerId)])
		}
	}
	return found
}

// lapsed reports whether the platform's own term for an order ends before long.
func (f *finder) lapsed(o *event.Order) bool {
	return o.PersonalUntilMs != 0 && o.PersonalUntilMs < f.untilMs
}

// history is how long an order's term must be over for the order to be one that was imported
// late, and not one that was forgotten late.
const history = 30 * 24 * time.Hour

// retention is the request that stands for all orders of an account whose term ends on one day.
// Its deadline is the first moment of the day after; the day, UTC, is its name. Orders of long
// ago come under today: their term was over when they came.
func retention(o *event.Order, now time.Time) *event.PrivacyRequest {
	day := time.UnixMilli(o.PersonalUntilMs)
	if now.Sub(day) > history {
		day = now
	}
	day = day.UTC().Truncate(24 * time.Hour)
	return &event.PrivacyRequest{
		Connector: o.Connector, Account: o.Account, Id: "retention-" + day.Format(time.DateOnly),
		Kind: event.PrivacyKind_PRIVACY_KIND_RETENTION, RequestedMs: day.UnixMilli(), DueMs: day.Add(24 * time.Hour).UnixMilli(),
	}
}
