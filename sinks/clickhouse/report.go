package clickhouse

import (
	"context"
	"fmt"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Reader reads figures back. It may be used concurrently.
type Reader struct {
	cfg  Config
	conn driver.Conn
}

// NewReader makes a Reader. It does not connect.
func NewReader(cfg Config) (*Reader, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	conn, err := open(cfg, cfg.Database)
	if err != nil {
		return nil, err
	}
	return &Reader{cfg: cfg, conn: conn}, nil
}

// Close closes the connections.
func (r *Reader) Close() error { return r.conn.Close() }

// bound gives a query its deadline and the settings that FINAL wants.
func (r *Reader) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.timeout())
	return ch.Context(ctx, ch.WithSettings(finalSettings)), cancel
}

// Figures are what a merchant's year comes to, counted from the newest version of everything.
// Test orders are not counted; cancelled ones are. Money is in the smallest unit.
type Figures struct {
	Orders     int64 `json:"orders"`
	OrderLines int64 `json:"order_lines"`
	Units      int64 `json:"units"`
	// GrossMinor sums the totals of orders, in their own currency: it means something when there
	// is one. Currencies tells how many there are.
	GrossMinor int64 `json:"gross_minor"`
	Currencies int64 `json:"currencies"`
	// GrossReportingMinor sums the converted totals of orders; OrdersUnvalued have none yet.
	GrossReportingMinor int64 `json:"gross_reporting_minor"`
	OrdersUnvalued      int64 `json:"orders_unvalued"`
	OrdersParked        int64 `json:"orders_parked"`
	FoundByPoll         int64 `json:"found_by_poll"`

	// Returns, refunded and unmatched together: credit notes, their lines, and their money. A
	// line is named by the note of the refund ("C536379#1+2") or by the reference of the
	// unmatched return ("C536379#3") and counts once in however many parts it came back.
	ReturnInvoices int64 `json:"return_invoices"`
	ReturnLines    int64 `json:"return_lines"`
	ReturnMinor    int64 `json:"return_minor"`
	// RefundedMinor and UnmatchedReturnMinor are the two parts of ReturnMinor.
	RefundedMinor        int64 `json:"refunded_minor"`
	UnmatchedReturnLines int64 `json:"unmatched_return_lines"`
	UnmatchedReturnMinor int64 `json:"unmatched_return_minor"`

	// Adjustments by kind, units without sign; openings are in none.
	WriteoffLines int64 `json:"writeoff_lines"`
	WriteoffUnits int64 `json:"writeoff_units"`
	ReceiptLines  int64 `json:"receipt_lines"`
	ReceiptUnits  int64 `json:"receipt_units"`

	// RefusedLines are records that translation gave up, each record once however often tried.
	RefusedLines int64 `json:"refused_lines"`
	DeadLetters  int64 `json:"dead_letters"`

	SKUs           int64 `json:"skus"`
	SKUsShort      int64 `json:"skus_short"`
	PushesAccepted int64 `json:"pushes_accepted"`
}

// returnLines lists (invoice, ordinal) of every line that was returned.
const returnLines = `SELECT splitByChar('#', note)[1] AS invoice, arrayJoin(splitByChar('+', splitByChar('#', note)[2])) AS ordinal
    FROM refunds FINAL WHERE NOT test AND match(note, '^[^#]+#[0-9]+([+][0-9]+)*$')
UNION ALL
SELECT splitByChar('#', reference)[1], arrayJoin(splitByChar('+', splitByChar('#', reference)[2]))
    FROM unmatched_returns FINAL WHERE match(reference, '^[^#]+#[0-9]+([+][0-9]+)*$')`

// Figures reads all figures.
func (r *Reader) Figures(ctx context.Context) (Figures, error) {
	ctx, cancel := r.bound(ctx)
	defer cancel()
	var f Figures
	queries := []struct {
		what string
		sql  string
		into []any
	}{
		{"orders", `SELECT toInt64(count()), toInt64(sum(line_count)), sum(units), sum(total_minor), toInt64(uniqExact(currency)), toInt64(countIf(parked)), toInt64(countIf(origin_path = 'poll'))
FROM orders FINAL WHERE NOT test`,
			[]any{&f.Orders, &f.OrderLines, &f.Units, &f.GrossMinor, &f.Currencies, &f.OrdersParked, &f.FoundByPoll}},
		{"valuations", `SELECT sum(v.reporting_minor), toInt64(countIf(v.subject = '' OR v.waiting))
FROM (SELECT account, order_id FROM orders FINAL WHERE NOT test) AS o
LEFT JOIN (SELECT account, object_id, subject, waiting, if(waiting, 0, reporting_minor) AS reporting_minor FROM valuations FINAL WHERE kind = 'order') AS v
ON v.account = o.account AND v.object_id = o.order_id`,
			[]any{&f.GrossReportingMinor, &f.OrdersUnvalued}},
		{"returned lines", `SELECT toInt64(uniqExact(invoice)), toInt64(uniqExact(invoice, ordinal)) FROM (` + returnLines + `)`,
			[]any{&f.ReturnInvoices, &f.ReturnLines}},
		{"refunds", `SELECT sum(total_minor) FROM refunds FINAL WHERE NOT test`, []any{&f.RefundedMinor}},
		{"unmatched returns", `SELECT toInt64(uniqExact(account, reference)), sum(amount_minor) FROM unmatched_returns FINAL`,
			[]any{&f.UnmatchedReturnLines, &f.UnmatchedReturnMinor}},
		{"adjustments", `SELECT toInt64(countIf(kind = 'write_off')), toInt64(sumIf(abs(quantity), kind = 'write_off')), toInt64(countIf(kind = 'receipt')), toInt64(sumIf(abs(quantity), kind = 'receipt'))
FROM adjustments FINAL`,
			[]any{&f.WriteoffLines, &f.WriteoffUnits, &f.ReceiptLines, &f.ReceiptUnits}},
		{"dead letters", `SELECT toInt64(uniqExactIf((topic, partition, offset), stage = 'translate')), toInt64(uniqExact(topic, partition, offset)) FROM dead_letters FINAL`,
			[]any{&f.RefusedLines, &f.DeadLetters}},
		{"levels", `SELECT toInt64(count()), toInt64(countIf(short > 0)) FROM stock_levels FINAL`, []any{&f.SKUs, &f.SKUsShort}},
		{"outcomes", `SELECT toInt64(uniqExactIf((account, listing_id, command_id), outcome = 'accepted')) FROM push_outcomes FINAL`, []any{&f.PushesAccepted}},
	}
	for _, q := range queries {
		if err := r.conn.QueryRow(ctx, q.sql).Scan(q.into...); err != nil {
			return Figures{}, fmt.Errorf("clickhouse: reading the figures of %s: %w", q.what, err)
		}
	}
	f.ReturnMinor = f.RefundedMinor + f.UnmatchedReturnMinor
	return f, nil
}

// AccountFigures are what one connection's share of the Figures is.
type AccountFigures struct {
	Orders         int64 `json:"orders"`
	GrossMinor     int64 `json:"gross_minor"`
	FoundByPoll    int64 `json:"found_by_poll"`
	PushesAccepted int64 `json:"pushes_accepted"`
}

// ByAccount reads the figures of every connection that has any.
func (r *Reader) ByAccount(ctx context.Context) (map[string]AccountFigures, error) {
	ctx, cancel := r.bound(ctx)
	defer cancel()
	found, err := r.conn.Query(ctx, `SELECT account, sum(orders), sum(gross), sum(polled), sum(pushed) FROM (
    SELECT account, toInt64(count()) AS orders, sum(total_minor) AS gross, toInt64(countIf(origin_path = 'poll')) AS polled, toInt64(0) AS pushed
    FROM orders FINAL WHERE NOT test GROUP BY account
    UNION ALL
    SELECT account, 0, 0, 0, toInt64(uniqExactIf((listing_id, command_id), outcome = 'accepted')) FROM push_outcomes FINAL GROUP BY account
) GROUP BY account`)
	if err != nil {
		return nil, fmt.Errorf("clickhouse: reading the figures by account: %w", err)
	}
	defer found.Close()
	figures := map[string]AccountFigures{}
	for found.Next() {
		var account string
		var f AccountFigures
		if err := found.Scan(&account, &f.Orders, &f.GrossMinor, &f.FoundByPoll, &f.PushesAccepted); err != nil {
			return nil, fmt.Errorf("clickhouse: reading the figures by account: %w", err)
		}
		figures[account] = f
	}
	return figures, found.Err()
}

// Level is the newest level of one SKU.
type Level struct {
	OnHand, Reserved, Available, Oversold, Short int64
	Epoch, Version                               int64
}

// Levels reads the newest level of every SKU.
func (r *Reader) Levels(ctx context.Context) (map[string]Level, error) {
	ctx, cancel := r.bound(ctx)
	defer cancel()
	found, err := r.conn.Query(ctx, "SELECT sku, on_hand, reserved, available, oversold, short, _version_epoch, _version FROM stock_levels FINAL")
	if err != nil {
		return nil, fmt.Errorf("clickhouse: reading the levels: %w", err)
	}
	defer found.Close()
	levels := map[string]Level{}
	for found.Next() {
		var sku string
		var l Level
		if err := found.Scan(&sku, &l.OnHand, &l.Reserved, &l.Available, &l.Oversold, &l.Short, &l.Epoch, &l.Version); err != nil {
			return nil, fmt.Errorf("clickhouse: reading the levels: %w", err)
		}
		levels[sku] = l
	}
	return levels, found.Err()
}

// Rows counts the rows of every table, newest versions only: for a live display.
func (r *Reader) Rows(ctx context.Context, tables ...string) (map[string]int64, error) {
	ctx, cancel := r.bound(ctx)
	defer cancel()
	counts := map[string]int64{}
	for _, t := range tables {
		var n uint64
		if err := r.conn.QueryRow(ctx, "SELECT count() FROM "+ident(t)+" FINAL").Scan(&n); err != nil {
			return nil, fmt.Errorf("clickhouse: counting %s: %w", t, err)
		}
		counts[t] = int64(n)
	}
	return counts, nil
}

// Doubled counts rows that are there twice under the same coordinates and key although each was
// inserted once: 0 unless the deduplication window was exceeded. It is the nightly check.
func (r *Reader) Doubled(ctx context.Context) (map[string]int64, error) {
	ctx, cancel := r.bound(ctx)
	defer cancel()
	doubled := map[string]int64{}
	for _, t := range []string{"orders", "order_history", "stock_levels", "stock_level_history", "stock_claims", "stock_alarms", "adjustments", "unmatched_returns", "listings", "push_targets", "push_outcomes", "commands", "command_outcomes", "valuations", "alerts", "dead_letters"} {
		row := "_topic, _partition, _offset"
		if t == "commands" {
			row += ", command_id" // a record is a row for each
		}
		var n int64
		if err := r.conn.QueryRow(ctx, "SELECT toInt64(count()) - toInt64(uniqExact("+row+")) FROM "+ident(t)).Scan(&n); err != nil {
			return nil, fmt.Errorf("clickhouse: counting doubled rows of %s: %w", t, err)
		}
		if n != 0 {
			doubled[t] = n
		}
	}
	return doubled, nil
}
