package retail

// Figures are what the pipeline must arrive at, computed straight from the file.
type Figures struct {
	Lines, Orders, OrderLines, Units, GrossMinor int64
	ReturnInvoices, ReturnLines, ReturnMinor     int64
	UnmatchedReturnLines                         int64
	WriteOffLines, WriteOffUnits                 int64
	ReceiptLines, ReceiptUnits                   int64
	RefusedLines                                 int64
	// Levels are the units available of each SKU at the end, below zero where more was
	// promised or written off than there was.
	Levels map[string]int64
}

// Figures does the file's own arithmetic.
func (y *Year) Figures() Figures {
	f := Figures{Lines: int64(y.Rows), Levels: make(map[string]int64)}
	for sku, n := range y.Sold {
		f.Levels[sku] += n
	}
	book := NewBook()
	orders, returns := make(map[string]bool), make(map[string]bool)
	for _, e := range y.Events {
		switch e.Kind {
		case Sale, Edit:
			orders[e.Invoice] = true
			book.Sell(e)
			for _, l := range e.Lines {
				f.OrderLines++
				f.Units += l.Quantity
				f.GrossMinor += l.Minor
				if l.Goods() {
					f.Levels[l.SKU] -= l.Quantity
				}
			}
		case Return:
			returns[e.Invoice] = true
			for _, l := range e.Lines {
				f.ReturnLines++
				f.ReturnMinor -= l.Minor
				switch parts := book.Return(e.Customer, l); {
				case parts == nil:
					f.UnmatchedReturnLines++
				case l.Goods():
					f.Levels[l.SKU] -= l.Quantity
				}
			}
		case WriteOff:
			for _, l := range e.Lines {
				f.WriteOffLines++
				f.WriteOffUnits -= l.Quantity
				f.Levels[l.SKU] += l.Quantity
			}
		case Receipt:
			for _, l := range e.Lines {
				f.ReceiptLines++
				f.ReceiptUnits += l.Quantity
				f.Levels[l.SKU] += l.Quantity
			}
		case Refused:
			f.RefusedLines += int64(len(e.Lines))
		}
	}
	f.Orders, f.ReturnInvoices = int64(len(orders)), int64(len(returns))
	return f
}
