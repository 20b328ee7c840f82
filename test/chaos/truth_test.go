package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// verdict is what the pipeline arrived at, against what trade did.
type verdict struct {
	orders, refunds                          int
	lost, extra, doubled, money, skus, shown int
	// Of commands: those that were asked for, those without their effect or their end, and effects
	// beyond one.
	commands, undone, twice int
	// requests about people's data that were taken, and of them and of what they demand what is not
	// as it must be.
	requests, open int
	// lowered are decisions that were carried out once more and may be: see ledger.
	lowered int
	details []string
}

func (v *verdict) note(count *int, format string, args ...any) {
	*count++
	if len(v.details) < 30 {
		v.details = append(v.details, fmt.Sprintf(format, args...))
	}
}

func (v *verdict) clean() bool {
	return v.lost+v.extra+v.doubled+v.money+v.skus+v.shown+v.undone+v.twice+v.open == 0
}

func (v *verdict) String() string {
	return fmt.Sprintf("%d orders, %d refunds: %d lost, %d extra, %d doubled, %d amounts wrong, %d SKUs wrong, %d listings differing; %d commands: %d not carried out, %d doubled; %d requests about people: %d open or lost",
		v.orders, v.refunds, v.lost, v.extra, v.doubled, v.money, v.skus, v.shown, v.commands, v.undone, v.twice, v.requests, v.open)
}

// query reads rows straight from ClickHouse, not by the code under test.
func (w *world) query(sql string) ([][]string, error) {
	u := "http://" + w.house.Addr() + "/?" + url.Values{"database": {w.cfg.Scope().Database()}, "default_format": {"TabSeparated"}}.Encode()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, u, strings.NewReader(sql))
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ClickHouse answered %s: %.300s", resp.Status, b)
	}
	var rows [][]string
	for _, l := range strings.Split(strings.TrimSuffix(string(b), "\n"), "\n") {
		if l != "" {
			rows = append(rows, strings.Split(l, "\t"))
		}
	}
	return rows, nil
}

// table reads rows into a map by the first columns, joined with a slash; keys that are there
// twice are doubled.
func (w *world) table(v *verdict, keys int, sql string) (map[string][]string, error) {
	rows, err := w.query(sql)
	if err != nil {
		return nil, err
	}
	m := make(map[string][]string, len(rows))
	for _, r := range rows {
		k := strings.Join(r[:keys], "/")
		if _, ok := m[k]; ok {
			v.note(&v.doubled, "%s is there twice", k)
		}
		m[k] = r[keys:]
	}
	return m, nil
}

// euros converts at the one rate there is, rounded half-even: a half cannot occur.
func euros(minor int64, currency string) int64 {
	if currency == "EUR" {
		return minor
	}
	return (minor*40 + 17) / 34
}

// judge compares everything. An error means that it could not be read.
func (w *world) judge() (*verdict, error) {
	v := new(verdict)
	if err := w.judgeOrders(v); err != nil {
		return nil, err
	}
	levels, err := w.reader.Levels(w.t.Context())
	if err != nil {
		return nil, err
	}
	for sku, want := range w.shelf {
		l, ok := levels[sku]
		if got := l.OnHand - l.Short - l.Reserved; !ok || got != want {
			v.note(&v.skus, "SKU %s: %d, trade says %d: %+v", sku, got, want, l)
		}
	}
	if len(levels) != len(w.shelf) {
		v.note(&v.skus, "%d SKUs have a level, trade has %d", len(levels), len(w.shelf))
	}
	for _, sh := range w.shops {
		for l := range sh.Listings() {
			if want := levels[l.SKU].Available; l.Available != want {
				v.note(&v.shown, "%s shows %d of %s, available are %d", sh.account, l.Available, l.SKU, want)
			}
		}
	}
	doubled, err := w.reader.Doubled(w.t.Context())
	if err != nil {
		return nil, err
	}
	for table, n := range doubled {
		v.note(&v.doubled, "table %s holds %d rows twice", table, n)
	}
	if err := w.judgeWrites(v); err != nil {
		return nil, err
	}
	if err := w.judgeCommands(v); err != nil {
		return nil, err
	}
	if err := w.judgePeople(v); err != nil {
		return nil, err
	}
	letters, err := w.query("SELECT stage, code, reason, toString(count()) FROM dead_letters GROUP BY stage, code, reason")
	if err != nil {
		return nil, err
	}
	for _, l := range letters {
		v.note(&v.lost, "%s dead letters of %s, %s: %s", l[3], l[0], l[1], l[2])
	}
	return v, nil
}

// judgeOrders compares orders, refunds and their amounts, one by one.
func (w *world) judgeOrders(v *verdict) error {
	orders, err := w.table(v, 2, "SELECT account, order_id, toString(total_minor), toString(line_count), toString(units), toString(parked), status = 'cancelled' FROM orders FINAL")
	if err != nil {
		return err
	}
	refunds, err := w.table(v, 3, "SELECT account, order_id, refund_id, toString(total_minor) FROM refunds FINAL")
	if err != nil {
		return err
	}
	values, err := w.table(v, 2, "SELECT account, object_id, toString(reporting_minor), toString(waiting) FROM valuations FINAL WHERE kind = 'order'")
	if err != nil {
		return err
	}
	var soldUnits int64
	for _, sh := range w.shops {
		for o := range sh.Orders() {
			v.orders++
			key := sh.account + "/" + strconv.FormatInt(o.ID, 10)
			var units int64
			for _, l := range o.Lines {
				units += l.Quantity
			}
			if !o.Cancelled {
				soldUnits += units
			}
			got, ok := orders[key]
			delete(orders, key)
			if !ok {
				v.note(&v.lost, "order %s is missing", key)
				continue
			}
			cancelled := "0"
			if o.Cancelled {
				cancelled = "1"
			}
			want := []string{strconv.FormatInt(o.Total, 10), strconv.Itoa(len(o.Lines)), strconv.FormatInt(units, 10), "false", cancelled}
			if strings.Join(got, " ") != strings.Join(want, " ") {
				v.note(&v.money, "order %s: total, lines, units, parked, cancelled are %v, want %v", key, got, want)
			}
			value := []string{strconv.FormatInt(euros(o.Total, sh.Config().Currency), 10), "false"}
			if got := values[key]; strings.Join(got, " ") != strings.Join(value, " ") {
				v.note(&v.money, "order %s: in EUR, waiting are %v, want %v", key, got, value)
			}
			delete(values, key)
			for _, r := range o.Refunds {
				v.refunds++
				k := key + "/" + strconv.FormatInt(r.ID, 10)
				got, ok := refunds[k]
				delete(refunds, k)
				switch {
				case !ok:
					v.note(&v.lost, "refund %s is missing", k)
				case got[0] != strconv.FormatInt(r.Total, 10):
					v.note(&v.money, "refund %s: %s, want %d", k, got[0], r.Total)
				}
			}
		}
	}
	for k := range orders {
		v.note(&v.extra, "nobody placed order %s", k)
	}
	for k := range refunds {
		v.note(&v.extra, "nobody refunded %s", k)
	}
	for k := range values {
		v.note(&v.extra, "nobody placed order %s, which has a value", k)
	}
	sums, err := w.query("SELECT toString(sum(units)) FROM sales")
	if err != nil {
		return err
	}
	if got := sums[0][0]; got != strconv.FormatInt(soldUnits, 10) {
		v.note(&v.doubled, "the view of sales tells of %s units, sold were %d", got, soldUnits)
	}
	return nil
}

// judgeWrites compares what was written to the shops with what was decided.
func (w *world) judgeWrites(v *verdict) error {
	rows, err := w.query("SELECT account, sku, toString(quantity), toString(count()) FROM push_targets FINAL WHERE NOT withdrawn GROUP BY account, sku, quantity")
	if err != nil {
		return err
	}
	decided := make(map[string]map[written]int)
	for _, r := range rows {
		quantity, err := strconv.ParseInt(r[2], 10, 64)
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(r[3])
		if err != nil {
			return err
		}
		if decided[r[0]] == nil {
			decided[r[0]] = make(map[written]int)
		}
		decided[r[0]][written{r[1], quantity}] = n
	}
	for _, sh := range w.shops {
		sh.ledger.judge(v, decided[sh.account])
	}
	return nil
}

// behind is how many records readers have not handled.
func (w *world) behind() (int64, error) {
	out, err := w.try("lag", "--json")
	if err != nil {
		return 0, err
	}
	var lags []struct {
		Records int64 `json:"records"`
	}
	if err := json.Unmarshal([]byte(out), &lags); err != nil {
		return 0, err
	}
	var n int64
	for _, l := range lags {
		n += l.Records
	}
	return n, nil
}

// settle waits until everything is handled and compares; what still differs after the
// deadline differs for good.
func (w *world) settle(t *testing.T, stage string) *verdict {
	t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	for _, sh := range w.shops {
		if err := sh.Drain(ctx); err != nil {
			t.Fatalf("%s: the webhooks of %s do not come to an end: %v", stage, sh.account, err)
		}
	}
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	var v *verdict
	var behind int64
	var err error
	asked := false
	for good := 0; good < 3; {
		select {
		case <-ctx.Done():
			switch {
			case err != nil:
				t.Fatalf("%s: %v", stage, err)
			case v == nil:
				t.Fatalf("%s: %d records are still not handled", stage, behind)
			}
			t.Errorf("%s: %v; %d records behind\n%s", stage, v, behind, strings.Join(v.details, "\n"))
			return v
		case <-tick.C:
		}
		if behind, err = w.behind(); err != nil || behind > 0 {
			good = 0
			continue
		}
		if err = w.handOver(); err != nil {
			good = 0
			continue
		}
		var now *verdict
		if now, err = w.judge(); err != nil {
			good = 0
			continue
		}
		switch v = now; {
		case v.clean():
			good++
		case !asked && v.lost+v.money == 0 && v.open > 0:
			// Everything else has come: who asked in vain asks again, and that is the last look.
			asked, good = true, 0
			w.askAgain(t)
		default:
			good = 0
		}
	}
	t.Logf("%s: %v; settled in %.0fs", stage, v, time.Since(began).Seconds())
	return v
}
