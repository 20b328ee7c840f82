package warehouse

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas/event"
)

func translate(body string) (connectors.Facts, error) {
	return translator{}.Translate(&connectors.Record{Subject: connectors.Stock, Account: "depot", Object: "x", Format: Format, Body: []byte(body)})
}

const (
	atMs       = 1323435000000
	adjustment = `"id":"x","sku":"85123A","warehouse":"main","quantity":12,"occurred_at":"2011-12-09T12:50:00Z"`
	unmatched  = `{"kind":"unmatched_return","id":"C536391/3","sku":"22556","quantity":12,"amount":{"text":"19.80","currency":"GBP"},"reason":"no order with this SKU","occurred_at":"2011-12-09T12:50:00Z"`
)

func TestTranslateAdjustments(t *testing.T) {
	base := func(kind event.MoveKind) *event.Adjustment {
		return &event.Adjustment{Account: "depot", Id: "x", Sku: "85123A", Warehouse: "main", Kind: kind, Quantity: 12, OccurredMs: atMs}
	}
	full := base(event.MoveKind_MOVE_KIND_WRITE_OFF)
	full.Reference, full.Note = "536589", "crushed"
	down := base(event.MoveKind_MOVE_KIND_CORRECTION)
	down.Quantity = -3
	offset := base(event.MoveKind_MOVE_KIND_RECEIPT)
	offset.OccurredMs = atMs - 3_600_000 + 7
	for body, want := range map[string]*event.Adjustment{
		`{"kind":"opening",` + adjustment + `}`:                                            base(event.MoveKind_MOVE_KIND_OPENING),
		`{"kind":"receipt",` + adjustment + `}`:                                            base(event.MoveKind_MOVE_KIND_RECEIPT),
		`{"kind":"write_off",` + adjustment + `,"reference":"536589","note":"crushed"}`:    full,
		`{` + strings.Replace(adjustment, ":12,", ":-3,", 1) + `,"kind":"correction"}`:     down,
		`{"kind":"receipt",` + strings.Replace(adjustment, "00Z", "00.007+01:00", 1) + `}`: offset,
	} {
		got, err := translate(body)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if diff := cmp.Diff(connectors.Facts{Adjustments: []*event.Adjustment{want}}, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
}

func TestTranslateReturns(t *testing.T) {
	base := func() *event.UnmatchedReturn {
		return &event.UnmatchedReturn{Account: "depot", Id: "C536391/3", Sku: "22556", Quantity: 12,
			Amount: &event.Money{Minor: 1980, Currency: "GBP"}, Reason: "no order with this SKU", OccurredMs: atMs}
	}
	full := base()
	full.Reference, full.BuyerId = "C536391", "17548"
	yen := base()
	yen.Amount = &event.Money{Minor: 1980, Currency: "JPY"}
	free := base()
	free.Amount.Minor = 0
	for body, want := range map[string]*event.UnmatchedReturn{
		unmatched + `}`: base(),
		unmatched + `,"reference":"C536391","buyer_id":"17548"}`:                               full,
		strings.Replace(unmatched, `19.80","currency":"GBP`, `1980","currency":"JPY`, 1) + `}`: yen,
		strings.Replace(unmatched, `19.80`, `0`, 1) + `}`:                                      free,
	} {
		got, err := translate(body)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if diff := cmp.Diff(connectors.Facts{Returns: []*event.UnmatchedReturn{want}}, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
}

// A return is goods on the shelf, and a word to the order of the connection that sold it; either
// may be missing.
func TestTranslateBack(t *testing.T) {
	const head, goods, amount = `{"kind":"return","id":"C1/3","account":"market","order":"101-1","occurred_at":"2011-12-09T12:50:00Z"`,
		`,"sku":"22556","warehouse":"main","quantity":12`, `,"amount":{"text":"19.80","currency":"GBP"}`
	lying := &event.Adjustment{Account: "depot", Id: "C1/3", Sku: "22556", Warehouse: "main", Kind: event.MoveKind_MOVE_KIND_RETURN, Quantity: 12, OccurredMs: atMs}
	told := func(minor int64, note string) *event.Refund {
		r := &event.Refund{Account: "market", OrderId: "101-1", Id: "depot/C1/3", CreatedMs: atMs, Note: note}
		if minor >= 0 {
			r.Total = &event.Money{Minor: minor, Currency: "GBP"}
		}
		return r
	}
	named := proto.Clone(lying).(*event.Adjustment)
	named.Reference, named.Note = "C1#3", "box torn"
	for body, want := range map[string]connectors.Facts{
		head + goods + amount + "}": {Adjustments: []*event.Adjustment{lying}, Returned: []*event.Refund{told(1980, "")}},
		head + goods + "}":          {Adjustments: []*event.Adjustment{lying}, Returned: []*event.Refund{told(-1, "")}},
		head + amount + "}":         {Returned: []*event.Refund{told(1980, "")}},
		head + goods + `,"reference":"C1#3","note":"box torn"}`: {Adjustments: []*event.Adjustment{named}, Returned: []*event.Refund{told(-1, "C1#3")}},
		head + strings.Replace(amount, "19.80", "0", 1) + "}":   {Returned: []*event.Refund{told(0, "")}},
	} {
		got, err := translate(body)
		if err != nil {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", body, diff)
		}
	}
	for body, place := range map[string]string{
		head + "}":                      "$: nothing came back",
		head + `,"sku":"22556"}`:        "$: goods that came back need",
		head + `,"quantity":1}`:         "$: goods that came back need",
		head + `,"warehouse":"m"}`:      "$: goods that came back need",
		head + goods + `,"reason":"x"}`: "$.reason: an entry of kind return",
		strings.Replace(head, `"account":"market",`, "", 1) + goods + "}": "$.account: it is missing",
		strings.Replace(head, `"order":"101-1",`, "", 1) + goods + "}":    "$.order: it is missing",
		`{"kind":"receipt","account":"market",` + adjustment + "}":        "$.account: an entry of kind receipt",
	} {
		if got, err := translate(body); !errors.Is(err, connectors.ErrMalformed) || !strings.Contains(err.Error(), place) || len(got.Adjustments)+len(got.Returned) != 0 {
			t.Errorf("%s: %v, want it malformed at %s", body, err, place)
		}
	}
}

// What is refused names its place, and whether the same bytes could ever be understood.
func TestTranslateRefuses(t *testing.T) {
	good := `{"kind":"receipt",` + adjustment + `}`
	change := func(from, to string) string {
		if !strings.Contains(good, from) {
			t.Fatalf("%s is not there", from)
		}
		return strings.Replace(good, from, to, 1)
	}
	back := func(from, to string) string { return strings.Replace(unmatched, from, to, 1) + "}" }
	for body, want := range map[string]struct {
		is    error
		place string
	}{
		change("receipt", "invoice"):                                         {connectors.ErrUnsupported, `$.kind: "invoice" is not known`},
		`{"kind":"invoice","anything":[]}`:                                   {connectors.ErrUnsupported, "$.kind"},
		change(`"kind":"receipt",`, ""):                                      {connectors.ErrMalformed, "$.kind: it is missing"},
		change(`"receipt"`, "7"):                                             {connectors.ErrMalformed, "$.kind: not a string"},
		change(`"id":"x",`, ""):                                              {connectors.ErrMalformed, "$.id: it is missing"},
		change(`"sku":"85123A",`, ""):                                        {connectors.ErrMalformed, "$.sku: it is missing"},
		change(`"warehouse":"main",`, ""):                                    {connectors.ErrMalformed, "$.warehouse: it is missing"},
		change(`"quantity":12,`, ""):                                         {connectors.ErrMalformed, "$.quantity: it is missing"},
		change(`,"occurred_at":"2011-12-09T12:50:00Z"`, ""):                  {connectors.ErrMalformed, "$.occurred_at: it is missing"},
		change(`"85123A"`, `""`):                                             {connectors.ErrMalformed, "$.sku: it is empty"},
		change(`:12`, ":0"):                                                  {connectors.ErrMalformed, "$.quantity: 0"},
		change(`:12`, ":-1"):                                                 {connectors.ErrMalformed, "$.quantity: -1"},
		change(`:12`, ":1.0"):                                                {connectors.ErrMalformed, "$.quantity: 1.0 is not a whole number"},
		change(`:12`, ":1e3"):                                                {connectors.ErrMalformed, "$.quantity"},
		change(`:12`, `:"12"`):                                               {connectors.ErrMalformed, "$.quantity"},
		change(`:12`, ":1000000001"):                                         {connectors.ErrMalformed, "$.quantity"},
		change(`:12`, ":99999999999999999999"):                               {connectors.ErrMalformed, "$.quantity"},
		change(`:12`, ":null"):                                               {connectors.ErrMalformed, "$.quantity"},
		change("2011-12-09T12:50:00Z", "2011-12-09"):                         {connectors.ErrMalformed, "$.occurred_at"},
		change("2011-12-09T12:50:00Z", "1969-12-09T12:50:00Z"):               {connectors.ErrMalformed, "$.occurred_at"},
		change("12:50:00Z", "12:50:00"):                                      {connectors.ErrMalformed, "$.occurred_at"},
		change(`"sku"`, `"qty":1,"sku"`):                                     {connectors.ErrMalformed, "$.qty: an entry of kind receipt has no such member"},
		change(`"sku"`, `"amount":{},"sku"`):                                 {connectors.ErrMalformed, "$.amount"},
		change(`"sku"`, `"sku":"y","sku"`):                                   {connectors.ErrMalformed, "$.sku: it stands twice"},
		change(`"sku"`, `"note":"`+strings.Repeat("x", maxNote+1)+`","sku"`): {connectors.ErrMalformed, "$.note: longer"},
		good[:len(good)-1]:                                                   {connectors.ErrMalformed, "$"},
		back(`"reason":"no order with this SKU",`, ""):                       {connectors.ErrMalformed, "$.reason: it is missing"},
		back(`"amount":{"text":"19.80","currency":"GBP"},`, ""):              {connectors.ErrMalformed, "$.amount: it is missing"},
		back("19.80", "19.805"):                                              {connectors.ErrMalformed, "$.amount"},
		back("19.80", "-19.80"):                                              {connectors.ErrMalformed, "$.amount.text"},
		back("19.80", "1,980"):                                               {connectors.ErrMalformed, "$.amount"},
		back(`"19.80"`, "19.80"):                                             {connectors.ErrMalformed, "$.amount.text: not a string"},
		back("GBP", "XQQ"):                                                   {connectors.ErrMalformed, "$.amount"},
		back(`,"currency":"GBP"`, ""):                                        {connectors.ErrMalformed, "$.amount: it needs"},
		back(`"currency"`, `"exponent":2,"currency"`):                        {connectors.ErrMalformed, "$.amount.exponent"},
		back(`{"text":"19.80","currency":"GBP"}`, "7"):                       {connectors.ErrMalformed, "$.amount: not a JSON object"},
		back(`"sku"`, `"warehouse":"main","sku"`):                            {connectors.ErrMalformed, "$.warehouse: an entry of kind unmatched_return"},
		back(`:12`, `:-12`):                                                  {connectors.ErrMalformed, "$.quantity"},
	} {
		got, err := translate(body)
		if !errors.Is(err, want.is) || !strings.Contains(err.Error(), want.place) {
			t.Errorf("%.200s\n\tgot %v, want %v at %s", body, err, want.is, want.place)
		}
		if len(got.Adjustments)+len(got.Returns) != 0 {
			t.Errorf("%s: refused and translated", body)
		}
	}
	if _, err := (translator{}).Translate(&connectors.Record{Format: "rest/order", Body: []byte(good)}); !errors.Is(err, connectors.ErrUnsupported) {
		t.Errorf("another format: %v", err)
	}
}

// Every truncation of a good entry is malformed, never half of a fact.
func TestEveryTruncationIsMalformed(t *testing.T) {
	for _, body := range []string{`{"kind":"receipt",` + adjustment + `}`, unmatched + "}",
		`{"kind":"return","account":"a","order":"o",` + adjustment + `}`} {
		for i := range body {
			if _, err := translate(body[:i]); !errors.Is(err, connectors.ErrMalformed) {
				t.Errorf("cut at %d: %v", i, err)
			}
		}
	}
}

func FuzzTranslate(f *testing.F) {
	f.Add([]byte(`{"kind":"receipt",` + adjustment + `}`))
	f.Add([]byte(unmatched + `}`))
	f.Add([]byte(`{"kind":"return","account":"a","order":"o","amount":{"text":"1","currency":"GBP"},` + adjustment + `}`))
	f.Add([]byte(`{"kind":"invoice"}`))
	for _, body := range requests {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := translate(string(body))
		if err != nil {
			if !errors.Is(err, connectors.ErrMalformed) && !errors.Is(err, connectors.ErrUnsupported) {
				t.Errorf("an error without instruction: %v", err)
			}
			return
		}
		if n := len(got.Adjustments) + len(got.Returns) + len(got.Commands); n != 1 && len(got.Returned) != 1 || n > 1 {
			t.Fatalf("%d facts, %d returns", n, len(got.Returned))
		}
		again, err := translate(string(body))
		if diff := cmp.Diff(got, again, protocmp.Transform()); err != nil || diff != "" {
			t.Errorf("the second time: %v %s", err, diff)
		}
		for _, a := range got.Adjustments {
			if a.Quantity == 0 || a.Quantity < 0 && a.Kind != event.MoveKind_MOVE_KIND_CORRECTION || a.Sku == "" || a.Id == "" || a.Warehouse == "" || a.OccurredMs <= 0 {
				t.Errorf("%v", a)
			}
		}
	})
}
