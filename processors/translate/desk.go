package translate

import (
	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas/event"
)

// work is one record, translated: all but the SKUs, which only Apply may look up. It has
// room for the one order that most records are, so that an order needs no more than this.
type work struct {
	outs   []stream.Output
	orders []*event.Order
	origin event.Origin

	out   [1]stream.Output
	only  [1]*event.Order
	first orderInput
	ids   []byte
	id    [idSize]byte
	desk  *desk // while it is built
}

// orderInput is an order with its wrapping.
type orderInput struct {
	input    event.OrderInput
	snapshot event.OrderInput_Snapshot
}

// desk is what one translation at a time needs. Works and keys are cut from pieces that are
// allocated for several records; what was handed out is never touched again.
type desk struct {
	record connectors.Record
	// source of the record before: mostly this one's too.
	source source
	// buf is room for encodings.
	buf   []byte
	works []work
	keys  []byte // those handed out
}

// How much is allocated at once: so many works, and bytes for keys.
const (
	workPiece = 8
	keyPiece  = 2 << 10
)

func newDesk() *desk { return &desk{buf: make([]byte, 0, 8<<10)} }

func (d *desk) work() *work {
	if len(d.works) == 0 {
		d.works = make([]work, workPiece)
	}
	w := &d.works[0]
	d.works = d.works[1:]
	w.orders = w.only[:0]
	return w
}

// key is account/id.
func (d *desk) key(account, id string) []byte {
	n := len(account) + 1 + len(id)
	if n > keyPiece/4 {
		return key(account, id)
	}
	if cap(d.keys)-len(d.keys) < n {
		d.keys = make([]byte, 0, keyPiece)
	}
	from := len(d.keys)
	d.keys = append(append(append(d.keys, account...), '/'), id...)
	return d.keys[from:len(d.keys):len(d.keys)]
}
