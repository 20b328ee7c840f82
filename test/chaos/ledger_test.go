package chaos

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	shopsim "github.com/helloword/crossdock/connectors/shopify/simulator"
	"github.com/helloword/crossdock/schemas/money"
)

// ledger stands before a shop and writes down every write of stock and of prices that was carried
// out, whatever was answered. Repeats under a known idempotency key are answered by the shop and are none.
type ledger struct {
	*shopsim.Simulator
	account string

	mu    sync.Mutex
	items map[string]string // inventory item → SKU
	// done counts the writes that changed something, by what they asked for.
	done map[written]int
	// history of the writes, for who asks how it came.
	history map[written][]string
	// blind are writes that did not say what they expect, empty those that expected what they
	// asked for: the shop compares, so they changed nothing.
	writes, blind, empty int
	// last is what was written last, by SKU. lowered are writes of the same once more, over what the
	// shop had put back by itself meanwhile: who cannot know whether an earlier process wrote it
	// lowers at once (sinks/push), and takes no unit from anybody. Raising again would sell one twice.
	last    map[string]int64
	lowered map[written]int
	// prices is what was set last, by variant, in minor units; back are those that were set over a
	// newer one. Trade only ever asks for more.
	prices map[string]int64
	back   []string
}

// written is what a write asked for: a decision asks for it once.
type written struct {
	sku      string
	quantity int64
}

func newLedger(s *shopsim.Simulator, account string) *ledger {
	return &ledger{Simulator: s, account: account, items: map[string]string{}, done: map[written]int{}, history: map[written][]string{}, prices: map[string]int64{}, last: map[string]int64{}, lowered: map[written]int{}}
}

func (l *ledger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 4<<20))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	switch {
	case bytes.Contains(body, []byte("productVariantsBulkUpdate")):
		l.price(w, r, body)
		return
	case !bytes.Contains(body, []byte("inventorySetQuantities")):
		l.Simulator.ServeHTTP(w, r)
		return
	}
	var call struct {
		Variables struct {
			Key   string `json:"key"`
			Input struct {
				Quantities []struct {
					Item     string `json:"inventoryItemId"`
					Quantity int64  `json:"quantity"`
					From     *int64 `json:"changeFromQuantity"`
				} `json:"quantities"`
			} `json:"input"`
		} `json:"variables"`
	}
	if err := json.Unmarshal(body, &call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	// One write at a time, so that the counter tells whether this one was carried out, whatever
	// was answered.
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.Stats().PushesAccepted
	l.Simulator.ServeHTTP(w, r)
	if l.Stats().PushesAccepted == before {
		return
	}
	for _, q := range call.Variables.Input.Quantities {
		l.writes++
		what := written{l.items[q.Item], q.Quantity}
		from := "anything"
		if q.From != nil {
			from = strconv.FormatInt(*q.From, 10)
		}
		l.history[what] = append(l.history[what], fmt.Sprintf("%s from %s under %.8s", time.Now().Format("15:04:05.000"), from, call.Variables.Key))
		switch {
		case q.From == nil:
			l.blind++
		case *q.From == q.Quantity:
			// It was told to change nothing, and changed nothing.
			l.empty++
			continue
		}
		was, ok := l.last[what.sku]
		if l.last[what.sku] = q.Quantity; ok && was == q.Quantity && q.From != nil && *q.From > q.Quantity {
			l.lowered[what]++
		}
		l.done[what]++
	}
}

// price lets prices be set, one call at a time. The same price twice is the same as once.
func (l *ledger) price(w http.ResponseWriter, r *http.Request, body []byte) {
	var call struct {
		Variables struct {
			Variants []struct{ ID, Price string } `json:"variants"`
		} `json:"variables"`
	}
	if err := json.Unmarshal(body, &call); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.Stats().Prices
	l.Simulator.ServeHTTP(w, r)
	if l.Stats().Prices == before {
		return
	}
	for _, v := range call.Variables.Variants {
		minor, err := money.Parse("shopify", l.Config().Currency, v.Price)
		if err != nil || minor < l.prices[v.ID] {
			l.back = append(l.back, fmt.Sprintf("%s %s: %s after %d (%v)", time.Now().Format("15:04:05.000"), v.ID, v.Price, l.prices[v.ID], err))
		}
		l.prices[v.ID] = minor
	}
}

// judge counts as doubled what was carried out more often than it was decided, unless it was
// lowered: decided[…] is how many targets there were of each kind.
func (l *ledger) judge(v *verdict, decided map[written]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for what, n := range l.done {
		switch over := n - decided[what]; {
		case over <= 0:
		case over <= l.lowered[what]:
			v.lowered += over
		default:
			v.note(&v.doubled, "%s: %s was set to %d %d times, decided %d times: %v", l.account, what.sku, what.quantity, n, decided[what], l.history[what])
		}
	}
	if l.blind > 0 {
		v.note(&v.doubled, "%s: %d writes did not say what they expect", l.account, l.blind)
	}
}
