package magento

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/helloword/crossdock/connectors/calls"
	"github.com/helloword/crossdock/connectors/jsonread"
)

// page is one answer to a search: objects as they stand in it.
type page struct {
	nodes []string
	total int64
}

// readPage takes a search result apart. "items" may be null: nothing matched.
func readPage(body string) (p page, err error) {
	r := jsonread.NewString(body)
	var seen jsonread.Members
	if !r.Object() {
		r.Unexpected("a search result")
	} else {
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			switch key {
			case "items":
				r.Once(&seen, 0)
				for ok := r.Array(); ok && r.More(); {
					p.nodes = append(p.nodes, r.Raw())
				}
			case "total_count":
				r.Once(&seen, 1)
				p.total = r.Integer()
			default:
				r.Skip()
			}
		}
	}
	r.End()
	if r.Err() != nil {
		// Not wrapped: to a poll a broken answer is a failure that passes, not a dead letter.
		return page{}, calls.Passing(fmt.Errorf("the answer cannot be read: %v", r.Err()))
	}
	if seen&2 == 0 {
		return page{}, calls.Passing(errors.New("the answer is no search result: it has no total_count"))
	}
	return p, nil
}

// head is what a poll must know of a node. One that cannot be read has nothing of it: it is
// emitted as it is, and the translator says what is wrong with it.
type head struct {
	id      int64
	order   int64 // of a shipment or credit memo
	sku     string
	updated time.Time
}

func readHead(node string) (h head) {
	r := jsonread.NewString(node)
	if !r.Object() {
		return h
	}
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "entity_id", "id":
			h.id = r.Integer()
		case "order_id":
			h.order = r.Integer()
		case "sku":
			h.sku = r.Text()
		case "updated_at":
			if ms, ok := jsonread.UTC(r.Text()); ok {
				h.updated = time.UnixMilli(ms).UTC()
			}
		default:
			r.Skip()
		}
	}
	if r.Err() != nil {
		return head{}
	}
	return h
}

// list writes ids as a value of an "in" condition.
func list(ids []int64) string {
	b := make([]byte, 0, 8*len(ids))
	for i, id := range ids {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, id, 10)
	}
	return string(b)
}

// longestFirst is the keys of a map, so that %field does not hit %fieldName.
func longestFirst(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return keys
}
