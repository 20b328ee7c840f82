package magento

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/connectors/jsonread"
)

type levelPoller struct{ *client }

// levels is the state between two polls of quantities.
type levels struct {
	// Read is when all were read, by the server's clock.
	Read time.Time `json:"read"`
}

// Poll emits what the shop can sell of everything in the source, in the order of SKUs, when
// inventory_interval has passed since the last time: source items have no time of change, so
// that all of them are read. A record is {"at": …, "reserved": units, "source_item": node}.
//
// The list is read by ascending SKU, which a change of a quantity does not move; counted
// pages would step over some whenever an item is added.
func (p *levelPoller) Poll(ctx context.Context, req connectors.PollRequest, emit func(connectors.Raw) error) (res connectors.PollResult, err error) {
	var state levels
	if len(req.Cursor) > 0 {
		if err := json.Unmarshal(req.Cursor, &state); err != nil {
			return res, fmt.Errorf("%w: the stored cursor %q cannot be read: delete it", connectors.ErrPermanent, jsonread.Clip(string(req.Cursor)))
		}
	}
	// A server whose clock is far ahead must not stop the polls.
	if since := p.deps.Now().Sub(state.Read); since > -time.Minute && since < p.cfg.InventoryEvery {
		return levelsResult(state, res), nil
	}
	// What is reserved is counted once for all: an order that is placed or shipped while the
	// source is read makes an observation wrong by its units, until the next one.
	reserved, err := p.reserved(ctx, connectors.Normal)
	if err != nil {
		return res, fmt.Errorf("polling inventory of source %s: %w", p.cfg.Source, err)
	}
	var bound time.Time
	after := ""
	for {
		s := search{where: []condition{{"source_code", "eq", p.cfg.Source}}, sort: []string{"sku"}, size: p.cfg.PageSize}
		if after != "" {
			s.where = append(s.where, condition{"sku", "gt", after})
		}
		a, err := p.read(ctx, "/V1/inventory/source-items", s.query(), connectors.Normal)
		if err != nil {
			return res, fmt.Errorf("polling inventory of source %s: %w", p.cfg.Source, err)
		}
		page, err := readPage(a.body)
		if err != nil {
			return res, fmt.Errorf("polling inventory of source %s: %w", p.cfg.Source, err)
		}
		if bound.IsZero() {
			bound = a.date
		}
		res.Pages++
		before := after
		for _, node := range page.nodes {
			sku := readHead(node).sku
			if err := emit(levelRaw(node, sku, reserved[sku], a.date)); err != nil {
				return res, err
			}
			res.Objects++
			if sku != "" {
				after = sku
			}
		}
		if int64(len(page.nodes)) >= page.total {
			break
		}
		if after == before {
			return res, fmt.Errorf("polling inventory of source %s: a page of %d items tells no SKU", p.cfg.Source, len(page.nodes))
		}
	}
	if bound.After(state.Read) {
		state.Read = bound
	}
	return levelsResult(state, res), nil
}

func levelRaw(node, sku string, reserved int64, at time.Time) connectors.Raw {
	b := append(make([]byte, 0, len(node)+80), `{"at":"`...)
	if !at.IsZero() {
		b = at.UTC().AppendFormat(b, time.RFC3339)
	}
	b = append(b, `","reserved":`...)
	b = strconv.AppendInt(b, reserved, 10)
	b = append(b, `,"source_item":`...)
	b = append(append(b, node...), '}')
	if sku == "" {
		sku = "unreadable"
	}
	return connectors.Raw{Subject: connectors.Inventory, Object: sku, Body: b, Format: formatLevel, SourceTime: at}
}

func levelsResult(state levels, res connectors.PollResult) connectors.PollResult {
	b, err := json.Marshal(state)
	if err != nil {
		panic(err) // a time
	}
	res.Cursor, res.Watermark = b, state.Read
	return res
}
