package retail

// Book remembers what was sold to whom, so that a return finds the order it belongs to.
type Book struct {
	byCustomer map[string][]*sale
	byInvoice  map[string]*sale
}

type sale struct {
	invoice string
	lines   []*left
}

// left is one order line and how much of it has not come back.
type left struct {
	number   int // place among the order's lines as they were placed, from 0
	sku      string
	quantity int64
}

// Part is the share of a return line that goes against one order line.
type Part struct {
	Invoice  string
	Line     int
	Quantity int64
	Minor    int64
}

// NewBook makes an empty book.
func NewBook() *Book {
	return &Book{byCustomer: make(map[string][]*sale), byInvoice: make(map[string]*sale)}
}

// Sell records an order or an edit of one. Order lines are numbered as they come.
func (b *Book) Sell(e *Event) {
	s := b.byInvoice[e.Invoice]
	if s == nil {
		s = &sale{invoice: e.Invoice}
		b.byInvoice[e.Invoice] = s
		if e.Customer != "" {
			b.byCustomer[e.Customer] = append(b.byCustomer[e.Customer], s)
		}
	}
	for _, l := range e.Lines {
		s.lines = append(s.lines, &left{len(s.lines), l.SKU, l.Quantity})
	}
}

func (s *sale) left(sku string) (n int64) {
	for _, l := range s.lines {
		if l.sku == sku {
			n += l.quantity
		}
	}
	return n
}

// Return takes a return line back: from the customer's newest order that has enough of the
// SKU left, else from several, newest first, when together they have. Nil: no order explains
// it. The parts' amounts add up to the line's.
func (b *Book) Return(customer string, l *Line) []Part {
	want := -l.Quantity
	if customer == "" || want <= 0 {
		return nil
	}
	sales := b.byCustomer[customer]
	var from []*sale
	total := int64(0)
	for i := len(sales) - 1; i >= 0; i-- {
		n := sales[i].left(l.SKU)
		if n >= want {
			from, total = []*sale{sales[i]}, n
			break
		}
		if n > 0 {
			from = append(from, sales[i])
			total += n
		}
	}
	if total < want {
		return nil
	}
	var parts []Part
	rest, restMinor := want, -l.Minor
	for _, s := range from {
		for _, o := range s.lines {
			if o.sku != l.SKU || o.quantity == 0 || rest == 0 {
				continue
			}
			n := min(o.quantity, rest)
			minor := restMinor * n / rest
			o.quantity -= n
			rest -= n
			restMinor -= minor
			parts = append(parts, Part{s.invoice, o.number, n, minor})
		}
	}
	return parts
}
