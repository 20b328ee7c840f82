package shopify

import (
	"strings"
	"unsafe"

	"github.com/helloword/crossdock/schemas/event"
)

// store is where facts get their memory from. An order is some sixty short strings and
// twenty small messages: they are cut from pieces that are allocated for several orders at
// once, which costs the allocator and the collector a tenth. What was handed out is never
// touched again. A piece lives as long as anything that was cut from it, so that a fact
// which is kept for long keeps up to a piece of each kind with it.
type store struct {
	text   []byte
	used   int // of text
	orders slab[orderBlock]
	lines  slab[lineBlock]
	ships  slab[event.ShippingLine]
	places slab[placeBlock]
	taxes  slab[event.Tax]
	moneys slab[event.Money]
}

// textPiece is how much room for text is allocated at once: an order keeps about 1 kB.
const textPiece = 8 << 10

// keep copies a text that is to outlive the document.
func (m *store) keep(s string) string {
	if s == "" {
		return ""
	}
	if len(m.text)-m.used < len(s) {
		if len(s) > textPiece/4 {
			return strings.Clone(s)
		}
		m.text, m.used = make([]byte, textPiece), 0
	}
	b := m.text[m.used:][:len(s)]
	m.used += copy(b, s)
	return view(b)
}

// slab hands out zero values that are allocated together.
type slab[T any] struct {
	piece []T
	used  int
}

// slabPiece is about how many bytes a slab allocates at once.
const slabPiece = 8 << 10

func (s *slab[T]) take() *T {
	if s.used == len(s.piece) {
		var zero T
		s.piece, s.used = make([]T, max(1, slabPiece/unsafe.Sizeof(zero))), 0
	}
	s.used++
	return &s.piece[s.used-1]
}

// orderBlock is an order with what every order has. Its lists are for the usual order; a
// longer one gets lists of its own.
type orderBlock struct {
	order       event.Order
	destination event.Destination
	personal    event.PersonalData
	lines       [3]*event.OrderLine
	ships       [1]*event.ShippingLine
	taxes       [1]*event.Tax
	list        [1]*event.Order
}

// lineBlock is a line with what every line has.
type lineBlock struct {
	line  event.OrderLine
	unit  event.Decimal
	total event.Money
	taxes [1]*event.Tax
}

// placeBlock is an address with its lines.
type placeBlock struct {
	address event.PostalAddress
	street  [2]string
}

// view is bytes as a string, without a copy. It holds while nobody writes to them: of a
// document, until Translate returns (what is kept of it is copied by keep); of kept text, for
// ever.
func view(b []byte) string {
	return unsafe.String(unsafe.SliceData(b), len(b))
}
