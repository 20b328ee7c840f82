// Package shops gives the simulators of the five platforms one face: a shop that is opened with
// goods, sells, takes back, tells of it as its platform does, and shows what it has left. Whoever
// plays trade needs to know no platform by name.
//
// In: what happens in a shop. Out: the simulator of its platform, in which it happened, and what
// the platform does not tell of it by itself. Keeps, beside the simulator, what the shop calls
// its goods.
package shops

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// Spec is a shop to open.
type Spec struct {
	// Account names the shop where its platform wants a name; empty = the simulator's own.
	Account string
	// Currency of the shop.
	Currency string
	// Secret is what the shop signs and authenticates with, Reference where its connection finds
	// it: "env:NAME".
	Secret, Reference string
	// Seed of everything that is random.
	Seed uint64
	// Faults as "name=probability,name"; the names are those of the platform's simulator.
	Faults string
	// Hurried: a year is played in minutes. The platform's limits are out of the way, pauses are
	// scaled as time is, and only what happens to orders is told.
	Hurried bool
	// Services are the SKUs that are no goods, for platforms that take all for goods.
	Services []string
}

// Traits are what a platform can do and others cannot.
type Traits struct {
	// Hooks: it delivers webhooks to an address of ours.
	Hooks bool
	// Told: by webhooks it tells of orders, and of all that happens to them. What others do not
	// tell is found by polls.
	Told bool
	// Edits: lines can be added to an order.
	Edits bool
	// CancelsPaid: an order that is paid can be cancelled.
	CancelsPaid bool
	// Looks is how many polls of its products it takes until all of them were told.
	Looks int
}

// Good is an article to offer. Service: it is no goods, and nobody counts it.
type Good struct {
	SKU, Title, Price string
	Service           bool
	// Quantity that is shown at first.
	Quantity int64
}

// Order is a sale.
type Order struct {
	Name string
	// At is when it was placed; zero = now.
	At   time.Time
	Paid bool
	// Buyer is a customer's number; 0 = a guest.
	Buyer int64
	// Country that it goes to, with its ISO code; empty = it is not told.
	Country, CountryCode string
	Lines                []Line
}

// Line of an order. Price of one as decimal text, of any fineness; empty = as it is offered.
type Line struct {
	SKU, Title string
	Quantity   int64
	Price      string
}

// Refund is goods that never left, or came back, and the money for them.
type Refund struct {
	At   time.Time
	Note string
	// Parts name lines by their place in the order, from 0.
	Parts []Part
}

// Part is units of one line. Minor is what is given back for them.
type Part struct {
	Line     int
	Quantity int64
	Minor    int64
}

// Minor is what is given back altogether.
func (r Refund) Minor() (sum int64) {
	for _, p := range r.Parts {
		sum += p.Minor
	}
	return sum
}

// Told is what the platform tells of a refund by itself: how much of the money, whether the goods
// are put back, and whether under the note.
type Told struct {
	Minor       int64
	Goods, Note bool
}

// Faults of what a platform tells by itself: webhooks, notifications. Each platform has those that
// its way can have.
type Faults struct {
	Duplicate, Reorder, Drop float64
	// ReorderBy is how late what is reordered comes at most; 0 = as the simulator has it.
	ReorderBy time.Duration
}

// Stats is what happened so far.
type Stats struct {
	// Webhooks, notifications among them.
	WebhooksSent, WebhooksDuplicated, WebhooksDropped int64
	// PushesAccepted are stock writes that the platform took.
	PushesAccepted int64
}

// Shop is one platform's simulator with goods. Safe for concurrent use, once all goods are
// offered.
type Shop interface {
	http.Handler
	Traits() Traits
	// Offer puts an article on sale, before anybody asks for it.
	Offer(g Good) error
	// Place places an order, and returns the platform's name of it.
	Place(o Order) (id string, err error)
	// Edit adds lines to an order, where Traits has Edits.
	Edit(id string, add []Line, at time.Time) error
	// Refund takes back. What the platform does not tell of it, somebody else has to.
	Refund(id string, r Refund) (Told, error)
	// Cancel cancels an order of which nothing was taken back.
	Cancel(id string) error
	// Subscribe lets what happens be delivered to an address, where Traits has Hooks.
	Subscribe(address string) error
	// SetFaults changes what goes wrong from now on.
	SetFaults(f Faults)
	// Drain waits until everything that was to be delivered is delivered.
	Drain(ctx context.Context) error
	// Settle waits until everything that happened so far can be polled.
	Settle(ctx context.Context) error
	// Shown is how many of a SKU the shop offers.
	Shown(sku string) int64
	// Listings are the goods with what the shop offers of them.
	Listings() iter.Seq2[string, int64]
	Stats() Stats
	// Connection is the YAML of a connection to the shop at the address, not indented.
	Connection(address string) string
	Close()
}

// openers of the platforms, by name.
var openers = map[string]func(Spec) (Shop, error){
	"amazon":      openAmazon,
	"ebay":        openEbay,
	"magento":     openMagento,
	"shopify":     openShopify,
	"woocommerce": openWooCommerce,
}

// Platforms are the names, sorted.
func Platforms() []string { return slices.Sorted(maps.Keys(openers)) }

// Open opens a shop on a platform. It has no goods, and serves nobody yet.
func Open(platform string, s Spec) (Shop, error) {
	open := openers[platform]
	if open == nil {
		return nil, fmt.Errorf("there is no simulator of %q: choose one of %s", platform, strings.Join(Platforms(), ", "))
	}
	return open(s)
}

// errCannot: the platform knows no such thing.
var errCannot = errors.New("the platform cannot do that")

// left is how much of a refund's money the platform can give back itself, part by part, when so
// much is left of what was paid.
func (r Refund) left(paid int64) (given int64, parts []int64) {
	for _, p := range r.Parts {
		n := min(p.Minor, paid-given)
		parts, given = append(parts, n), given+n
	}
	return given, parts
}

// whole writes a line's price for a platform whose prices are whole pence: one unit's, and what is
// taken off the line so that it comes to what the finer price does.
func whole(l Line, currency string) (price, discount string, err error) {
	if l.Price == "" {
		return "", "", nil
	}
	exponent, _ := money.Exponent("", currency)
	fine, err := money.ParseDecimal(l.Price)
	if err != nil {
		return "", "", fmt.Errorf("price %q: %w", l.Price, err)
	}
	minor, err := money.Mul(fine, l.Quantity, exponent)
	if err != nil {
		return "", "", err
	}
	one := (minor + l.Quantity - 1) / l.Quantity
	if off := one*l.Quantity - minor; off > 0 {
		discount = text(off, currency)
	}
	return text(one, currency), discount, nil
}

// text is an amount as decimal text.
func text(minor int64, currency string) string {
	t, err := money.Format("", &event.Money{Minor: minor, Currency: currency})
	if err != nil {
		return strconv.FormatInt(minor, 10) // unreachable: the shop was opened in this currency
	}
	return t
}

// number reads an id of a platform that counts.
func number(id string) (int64, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("order %q: its id is no number", id)
	}
	return n, nil
}

// yamlList is the line of a setting that is a list of texts; nothing for an empty one.
func yamlList(key string, values []string) string {
	if len(values) == 0 {
		return ""
	}
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = strconv.Quote(v)
	}
	return "  " + key + ": [" + strings.Join(quoted, ", ") + "]\n"
}
