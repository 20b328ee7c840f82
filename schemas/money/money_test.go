package money

import (
	"encoding/csv"
	"errors"
	"math"
	"math/big"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/helloword/crossdock/internal/testkit"
	"github.com/helloword/crossdock/schemas/event"
)

// The table against the published list: every live code with a minor unit is known with just
// that exponent, every code without one is not, and a withdrawn code is known only if it
// stands in withdrawnExponent.
func TestExponentIsISO4217(t *testing.T) {
	f, err := os.Open(testkit.Shared(t, "data", "currencies", "iso4217-codes-all.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	live, gone := map[string]string{}, map[string]bool{}
	for _, r := range rows[1:] {
		code, minor, withdrawn := r[2], r[4], r[5]
		switch {
		case code == "":
		case withdrawn == "":
			live[code] = minor
		default:
			gone[code] = true
		}
	}
	if len(live) < 170 || len(gone) < 100 {
		t.Fatalf("read %d live and %d withdrawn codes: is this the list?", len(live), len(gone))
	}
	// Every code that can be written, so that nothing beyond the list is known either.
	known := 0
	for i := range 26 * 26 * 26 {
		code := string([]byte{byte('A' + i/676), byte('A' + i/26%26), byte('A' + i%26)})
		got, ok := Exponent("", code)
		if ok {
			known++
		}
		minor, isLive := live[code]
		want, err := strconv.Atoi(minor)
		switch {
		case isLive && err == nil:
			if !ok || got != want {
				t.Errorf("%s: got %d, %v; want %d", code, got, ok, want)
			}
		case ok && !gone[code]:
			t.Errorf("%s is known with %d, but is not in ISO 4217 or has no minor unit", code, got)
		}
		if _, listed := withdrawnExponent(code); listed && isLive {
			t.Errorf("%s is listed as withdrawn, but lives", code)
		}
	}
	if known != 185 {
		t.Errorf("%d currencies are known, want 165 of ISO 4217 and 20 withdrawn", known)
	}
}

func TestExponent(t *testing.T) {
	for _, c := range []struct {
		provider, currency string
		want               int
		ok                 bool
	}{
		{"", "EUR", 2, true}, {"", "JPY", 0, true}, {"", "KWD", 3, true}, {"", "BHD", 3, true},
		{"", "CLF", 4, true}, {"", "IDR", 2, true}, {"", "IQD", 3, true}, {"", "HUF", 2, true},
		{"", "UGX", 0, true}, {"", "ISK", 0, true}, {"", "MGA", 2, true}, {"", "TRL", 0, true},
		{"", "HRK", 2, true}, {"shopify", "ISK", 0, true}, {"shopify", "GBP", 2, true},
		{"stripe", "ISK", 2, true}, {"stripe", "UGX", 2, true}, {"stripe", "MGA", 0, true},
		{"stripe", "JPY", 0, true}, {"stripe", "HUF", 2, true}, {"stripe", "TND", 3, true},
		{"paypal", "HUF", 0, true}, {"paypal", "TWD", 0, true}, {"paypal", "JPY", 0, true},
		{"paypal", "USD", 2, true},
		{"", "XAU", 0, false}, {"", "XXX", 0, false}, {"", "eur", 0, false}, {"", "", 0, false},
		{"", "EURO", 0, false}, {"stripe", "BTC", 0, false},
	} {
		if got, ok := Exponent(c.provider, c.currency); got != c.want || ok != c.ok {
			t.Errorf("Exponent(%q, %q) = %d, %v; want %d, %v", c.provider, c.currency, got, ok, c.want, c.ok)
		}
	}
	// Stripe's whole list of currencies without decimals.
	for _, c := range strings.Fields("BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF") {
		if got, ok := Exponent("stripe", c); got != 0 || !ok {
			t.Errorf("Exponent(stripe, %s) = %d, %v; want 0", c, got, ok)
		}
	}
}

func TestParse(t *testing.T) {
	for _, c := range []struct {
		provider, currency, text string
		want                     int64
		err                      error
	}{
		{"", "EUR", "12.34", 1234, nil},
		{"", "EUR", "-12.3", -1230, nil},
		{"", "EUR", "0", 0, nil},
		{"", "EUR", "-0.00", 0, nil},
		{"", "EUR", "007.50", 750, nil},
		{"", "EUR", "12.3400000000000000000000000", 1234, nil},
		{"", "EUR", "12.341", 0, ErrPrecision},
		{"", "EUR", "0.00000000000000000000001", 0, ErrPrecision},
		{"", "JPY", "1000", 1000, nil},
		{"", "JPY", "1000.00", 1000, nil},
		{"", "JPY", "1000.5", 0, ErrPrecision},
		{"", "KWD", "1.234", 1234, nil},
		{"", "BHD", "5.1", 5100, nil},
		{"", "CLF", "1.2345", 12345, nil},
		{"", "CLF", "1.23456", 0, ErrPrecision},
		{"stripe", "UGX", "5", 500, nil},
		{"paypal", "HUF", "500.50", 0, ErrPrecision},
		{"", "JPY", "9223372036854775807", math.MaxInt64, nil},
		{"", "JPY", "9223372036854775808", 0, ErrOverflow},
		{"", "JPY", "-9223372036854775808", math.MinInt64, nil},
		{"", "JPY", "-9223372036854775809", 0, ErrOverflow},
		{"", "JPY", "18446744073709551617", 0, ErrOverflow},
		{"", "EUR", "92233720368547758.07", math.MaxInt64, nil},
		{"", "EUR", "92233720368547758.08", 0, ErrOverflow},
		{"", "EUR", "92233720368547759", 0, ErrOverflow},
		{"", "EUR", "-92233720368547758.08", math.MinInt64, nil},
		{"", "XAU", "1", 0, ErrCurrency},
		{"", "EUR", "", 0, ErrSyntax}, {"", "EUR", "-", 0, ErrSyntax}, {"", "EUR", ".", 0, ErrSyntax},
		{"", "EUR", ".5", 0, ErrSyntax}, {"", "EUR", "5.", 0, ErrSyntax}, {"", "EUR", "+5", 0, ErrSyntax},
		{"", "EUR", "1,5", 0, ErrSyntax}, {"", "EUR", "1 000", 0, ErrSyntax}, {"", "EUR", " 1", 0, ErrSyntax},
		{"", "EUR", "1e2", 0, ErrSyntax}, {"", "EUR", "0x1", 0, ErrSyntax}, {"", "EUR", "1.2.3", 0, ErrSyntax},
		{"", "EUR", "--1", 0, ErrSyntax}, {"", "EUR", "NaN", 0, ErrSyntax}, {"", "EUR", "1.2-", 0, ErrSyntax},
		{"", "EUR", "١", 0, ErrSyntax},
	} {
		got, err := Parse(c.provider, c.currency, c.text)
		if got != c.want || !errors.Is(err, c.err) || (c.err == nil) != (err == nil) {
			t.Errorf("Parse(%q, %q, %q) = %d, %v; want %d, %v", c.provider, c.currency, c.text, got, err, c.want, c.err)
		}
		fromBytes, err := Parse(c.provider, c.currency, []byte(c.text))
		if fromBytes != c.want || !errors.Is(err, c.err) {
			t.Errorf("Parse of bytes %q = %d, %v", c.text, fromBytes, err)
		}
	}
}

func TestParseNumber(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64
		err  error
	}{
		{"12.34", 1234, nil}, {"1e2", 10000, nil}, {"1.5E+1", 1500, nil}, {"1234e-2", 1234, nil},
		{"-1.0e-2", -1, nil}, {"1e-3", 0, ErrPrecision}, {"0e99999999999", 0, nil},
		{"1e18", 0, ErrOverflow}, {"1e99999999999", 0, ErrOverflow}, {"1e-99999999999", 0, ErrPrecision},
		{"1e", 0, ErrSyntax}, {"e1", 0, ErrSyntax}, {"1e+", 0, ErrSyntax}, {"1e1.5", 0, ErrSyntax},
		{"1.e1", 0, ErrSyntax}, {"1e2e3", 0, ErrSyntax},
	} {
		got, err := ParseNumber("", "EUR", c.text)
		if got != c.want || !errors.Is(err, c.err) || (c.err == nil) != (err == nil) {
			t.Errorf("ParseNumber(%q) = %d, %v; want %d, %v", c.text, got, err, c.want, c.err)
		}
	}
	if _, err := ParseNumber("", "XAU", "1"); !errors.Is(err, ErrCurrency) {
		t.Errorf("ParseNumber of gold: %v", err)
	}
}

func TestParseDecimal(t *testing.T) {
	for _, c := range []struct {
		text  string
		u     int64
		scale int32
	}{
		{"10.00", 10, 0}, {"10.0", 10, 0}, {"10", 10, 0}, {"0.88180", 8818, 4}, {"-1.05", -105, 2},
		{"0.000000000000000001", 1, 18}, {"100", 100, 0}, {"-0.0", 0, 0},
	} {
		got, err := ParseDecimal(c.text)
		if err != nil || got.Unscaled != c.u || got.Scale != c.scale {
			t.Errorf("ParseDecimal(%q) = %v, %v; want %d, %d", c.text, got, err, c.u, c.scale)
		}
	}
	for text, want := range map[string]error{
		"0.0000000000000000001": ErrPrecision, "99999999999999999999": ErrOverflow,
		"9.999999999999999999": ErrOverflow, "1e2": ErrSyntax,
	} {
		if got, err := ParseDecimal(text); !errors.Is(err, want) {
			t.Errorf("ParseDecimal(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
}

func TestFormat(t *testing.T) {
	for _, c := range []struct {
		provider, currency string
		minor              int64
		want               string
	}{
		{"", "EUR", 1230, "12.30"}, {"", "EUR", -5, "-0.05"}, {"", "EUR", 0, "0.00"}, {"", "JPY", 1000, "1000"},
		{"", "KWD", 1, "0.001"}, {"", "CLF", -12345, "-1.2345"}, {"paypal", "HUF", 500, "500"},
		{"stripe", "ISK", 500, "5.00"}, {"", "EUR", math.MinInt64, "-92233720368547758.08"},
	} {
		got, err := Format(c.provider, &event.Money{Minor: c.minor, Currency: c.currency})
		if err != nil || got != c.want {
			t.Errorf("Format(%q, %d %s) = %q, %v; want %q", c.provider, c.minor, c.currency, got, err, c.want)
		}
	}
	if _, err := Format("", &event.Money{Currency: "XXX"}); !errors.Is(err, ErrCurrency) {
		t.Errorf("Format of XXX: %v", err)
	}
	if got, err := FormatDecimal(&event.Decimal{Unscaled: -15, Scale: 3}); got != "-0.015" || err != nil {
		t.Errorf("FormatDecimal = %q, %v", got, err)
	}
	if _, err := FormatDecimal(&event.Decimal{Unscaled: 1, Scale: -1}); err == nil {
		t.Error("FormatDecimal takes a negative scale")
	}
}

func TestISO(t *testing.T) {
	for _, c := range []struct {
		provider, currency string
		minor, want        int64
		err                error
	}{
		{"stripe", "UGX", 500, 5, nil}, {"stripe", "UGX", 550, 0, ErrPrecision}, {"stripe", "MGA", 5, 500, nil},
		{"paypal", "HUF", 7, 700, nil}, {"shopify", "GBP", 7, 7, nil}, {"stripe", "XAU", 1, 0, ErrCurrency},
		{"paypal", "HUF", math.MaxInt64, 0, ErrOverflow},
	} {
		got, err := ISO(c.provider, &event.Money{Minor: c.minor, Currency: c.currency})
		if got.GetMinor() != c.want || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("ISO(%s, %d %s) = %v, %v; want %d, %v", c.provider, c.minor, c.currency, got, err, c.want, c.err)
		}
	}
}

func TestMulRoundsHalfEvenOnce(t *testing.T) {
	for _, c := range []struct {
		u        int64
		scale    int32
		qty      int64
		exponent int
		want     int64
	}{
		{1995, 2, 3, 2, 5985}, {5, 3, 1, 2, 0}, {15, 3, 1, 2, 2}, {25, 3, 1, 2, 2}, {-15, 3, 1, 2, -2},
		{-25, 3, 1, 2, -2}, {125, 4, 2, 2, 2}, {1, 18, math.MaxInt64, 0, 9}, {7, 0, 3, 3, 21000},
		{0, 0, math.MaxInt64, 4, 0}, {10005, 4, 1, 3, 1000}, {5, 1, 3, 0, 2}, {5, 1, 5, 0, 2},
	} {
		got, err := Mul(&event.Decimal{Unscaled: c.u, Scale: c.scale}, c.qty, c.exponent)
		if err != nil || got != c.want {
			t.Errorf("Mul(%d×10^-%d, %d, %d) = %d, %v; want %d", c.u, c.scale, c.qty, c.exponent, got, err, c.want)
		}
	}
	for _, c := range []struct {
		d        *event.Decimal
		qty      int64
		exponent int
	}{
		{&event.Decimal{Unscaled: math.MaxInt64}, 2, 0}, {&event.Decimal{Unscaled: 1}, math.MaxInt64, 2},
		{&event.Decimal{Unscaled: 1, Scale: 19}, 1, 2}, {&event.Decimal{Unscaled: 1, Scale: -1}, 1, 2},
		{&event.Decimal{Unscaled: 1}, 1, -1}, {&event.Decimal{Unscaled: 1}, 1, 19},
	} {
		if got, err := Mul(c.d, c.qty, c.exponent); err == nil {
			t.Errorf("Mul(%v, %d, %d) = %d, want an error", c.d, c.qty, c.exponent, got)
		}
	}
}

// wide draws int64 of all magnitudes, the ends included.
func wide() *rapid.Generator[int64] {
	return rapid.OneOf(rapid.Int64(), rapid.Int64Range(-1000, 1000),
		rapid.SampledFrom([]int64{math.MinInt64, math.MinInt64 + 1, math.MaxInt64, 1 << 62, 1 << 32, 500, 50, 5}))
}

// halfEven is the oracle: the integer nearest to r, the even one when two are.
func halfEven(r *big.Rat) *big.Int {
	floor := new(big.Int).Div(r.Num(), r.Denom()) // Euclidean = floor, the denominator is positive
	rest := new(big.Rat).Sub(r, new(big.Rat).SetInt(floor))
	half := rest.Cmp(big.NewRat(1, 2))
	if half > 0 || half == 0 && floor.Bit(0) == 1 {
		floor.Add(floor, big.NewInt(1))
	}
	return floor
}

func TestMulDivAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, num, den := wide().Draw(t, "a"), wide().Draw(t, "num"), wide().Draw(t, "den")
		got, err := MulDiv(a, num, den)
		if den == 0 {
			if err == nil {
				t.Fatal("no error for ÷ 0")
			}
			return
		}
		product := new(big.Int).Mul(big.NewInt(a), big.NewInt(num))
		want := halfEven(new(big.Rat).SetFrac(product, big.NewInt(den)))
		if want.IsInt64() != (err == nil) || err == nil && got != want.Int64() {
			t.Fatalf("MulDiv(%d, %d, %d) = %d, %v; want %s", a, num, den, got, err, want)
		}
		if err != nil && !errors.Is(err, ErrOverflow) {
			t.Fatal(err)
		}
	})
}

func TestMulAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u, qty := wide().Draw(t, "unscaled"), wide().Draw(t, "qty")
		scale, exponent := rapid.IntRange(0, MaxScale).Draw(t, "scale"), rapid.IntRange(0, 4).Draw(t, "exponent")
		got, err := Mul(&event.Decimal{Unscaled: u, Scale: int32(scale)}, qty, exponent)
		ten := func(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }
		num := new(big.Int).Mul(new(big.Int).Mul(big.NewInt(u), big.NewInt(qty)), ten(exponent))
		want := halfEven(new(big.Rat).SetFrac(num, ten(scale)))
		if want.IsInt64() != (err == nil) || err == nil && got != want.Int64() {
			t.Fatalf("Mul(%d×10^-%d, %d, %d) = %d, %v; want %s", u, scale, qty, exponent, got, err, want)
		}
	})
}

func TestAddAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := wide().Draw(t, "a"), wide().Draw(t, "b")
		got, err := Add(a, b)
		want := new(big.Int).Add(big.NewInt(a), big.NewInt(b))
		if want.IsInt64() != (err == nil) || err == nil && got != want.Int64() {
			t.Fatalf("Add(%d, %d) = %d, %v", a, b, got, err)
		}
	})
}

func TestAllocate(t *testing.T) {
	for _, c := range []struct {
		total   int64
		weights []int64
		want    []int64
	}{
		{100, []int64{1, 1, 1}, []int64{34, 33, 33}},
		{-100, []int64{1, 1, 1}, []int64{-34, -33, -33}},
		{5, []int64{3, 7}, []int64{2, 3}}, // 1.5 and 3.5: equal remainders, the earlier one
		{10, []int64{0, 1, 0, 2}, []int64{0, 3, 0, 7}},
		{0, []int64{4, 5}, []int64{0, 0}},
		{math.MinInt64, []int64{1}, []int64{math.MinInt64}},
		{math.MaxInt64, []int64{math.MaxInt64 - 1, 1}, []int64{math.MaxInt64 - 1, 1}},
	} {
		got, err := Allocate(c.total, c.weights)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("Allocate(%d, %v): %v %s", c.total, c.weights, err, diff)
		}
	}
	for _, w := range [][]int64{nil, {0, 0}, {1, -1}, {math.MaxInt64, 1}, {math.MaxInt64, math.MaxInt64, math.MaxInt64}} {
		if got, err := Allocate(1, w); err == nil {
			t.Errorf("Allocate(1, %v) = %v, want an error", w, got)
		}
	}
}

func TestAllocateAddsUpAndIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := wide().Draw(t, "total")
		weights := rapid.SliceOfN(rapid.Int64Range(0, 1<<40), 1, 20).Draw(t, "weights")
		sum := int64(0)
		for _, w := range weights {
			sum += w
		}
		if sum == 0 {
			weights[0], sum = 1, 1
		}
		parts, err := Allocate(total, weights)
		if err != nil {
			t.Fatal(err)
		}
		added := new(big.Int)
		for i, p := range parts {
			added.Add(added, big.NewInt(p))
			exact := new(big.Rat).SetFrac(new(big.Int).Mul(big.NewInt(total), big.NewInt(weights[i])), big.NewInt(sum))
			off := new(big.Rat).Sub(new(big.Rat).SetInt64(p), exact)
			if off.Abs(off).Cmp(big.NewRat(1, 1)) >= 0 {
				t.Fatalf("part %d of %d over %v is %d, a whole unit off %s", i, total, weights, p, exact)
			}
		}
		if added.Cmp(big.NewInt(total)) != 0 {
			t.Fatalf("parts of %d add up to %s", total, added)
		}
	})
}

var decimalText = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)

func FuzzParse(f *testing.F) {
	for _, s := range []string{"12.34", "-0.05", "92233720368547758.07", "1,5", "1e5", "", "0.0000000000000000000000", "00012.3400", "-9223372036854775808", "1.99999999999999999999"} {
		f.Add(s, uint8(0))
		f.Add(s, uint8(2))
	}
	currencies := []string{"JPY", "EUR", "KWD", "CLF"}
	f.Fuzz(func(t *testing.T, text string, which uint8) {
		currency := currencies[int(which)%len(currencies)]
		exponent, _ := Exponent("", currency)
		got, err := Parse("", currency, text)
		// The oracle: the grammar by regular expression, the value by math/big.
		if !decimalText.MatchString(text) {
			if !errors.Is(err, ErrSyntax) && !errors.Is(err, ErrOverflow) && !errors.Is(err, ErrPrecision) {
				t.Fatalf("Parse(%q) = %d, %v; want an error", text, got, err)
			}
			return
		}
		want, _ := new(big.Rat).SetString(text)
		want.Mul(want, new(big.Rat).SetInt64(pow10(exponent)))
		fits := want.IsInt() && want.Num().IsInt64()
		if fits != (err == nil) || fits && got != want.Num().Int64() {
			t.Fatalf("Parse(%q, %s) = %d, %v; want %s", text, currency, got, err, want)
		}
		if err != nil {
			return
		}
		back, err := Format("", &event.Money{Minor: got, Currency: currency})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Parse("", currency, back); err != nil || again != got {
			t.Fatalf("%q → %d → %q → %d, %v", text, got, back, again, err)
		}
		if n, err := ParseNumber("", currency, text); err != nil || n != got {
			t.Fatalf("ParseNumber(%q) = %d, %v; Parse says %d", text, n, err, got)
		}
	})
}

func TestParseDoesNotAllocate(t *testing.T) {
	body := []byte("1234.50")
	if n := testing.AllocsPerRun(100, func() {
		if _, err := Parse("shopify", "GBP", "1234.50"); err != nil {
			t.Fatal(err)
		}
		if _, err := Parse("shopify", "GBP", body); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("Parse allocates %v times", n)
	}
}

func BenchmarkParse(b *testing.B) {
	texts := []string{"19.99", "1234.50", "0.00", "7", "129.9"}
	currencies := []string{"GBP", "EUR", "USD", "JPY", "PLN"}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		text, currency := texts[i%5], currencies[i%3]
		if _, err := Parse("shopify", currency, text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMulDiv(b *testing.B) {
	b.ReportAllocs()
	for i := int64(1); b.Loop(); i++ {
		if _, err := MulDiv(i*7919, 1168400, 870580); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMul(b *testing.B) {
	d := &event.Decimal{Unscaled: 1995, Scale: 3}
	b.ReportAllocs()
	for i := int64(1); b.Loop(); i++ {
		if _, err := Mul(d, i, 2); err != nil {
			b.Fatal(err)
		}
	}
}

func TestConvertAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := wide().Draw(t, "amount")
		figure := func(name string) *event.Decimal {
			return &event.Decimal{Unscaled: rapid.Int64Range(1, 99_999_999).Draw(t, name), Scale: rapid.Int32Range(0, 6).Draw(t, name+"Scale")}
		}
		from, to := figure("from"), figure("to")
		fromExp, toExp := rapid.IntRange(0, 4).Draw(t, "fromExp"), rapid.IntRange(0, 4).Draw(t, "toExp")
		got, err := Convert(amount, fromExp, toExp, from, to)
		rat := func(d *event.Decimal) *big.Rat { return big.NewRat(d.Unscaled, pow10(int(d.Scale))) }
		r := new(big.Rat).SetFrac(big.NewInt(amount), big.NewInt(pow10(fromExp)))
		r.Mul(r, rat(to)).Quo(r, rat(from)).Mul(r, new(big.Rat).SetInt64(pow10(toExp)))
		want := halfEven(r)
		if want.IsInt64() != (err == nil) || err == nil && got != want.Int64() {
			t.Fatalf("Convert(%d, %d, %d, %v, %v) = %d, %v; want %s", amount, fromExp, toExp, from, to, got, err, want)
		}
	})
}

func TestConvertRefuses(t *testing.T) {
	one := &event.Decimal{Unscaled: 1}
	for name, c := range map[string]struct {
		from, to *event.Decimal
		want     error
	}{
		"no figure": {nil, one, ErrSyntax}, "negative": {one, &event.Decimal{Unscaled: -1}, ErrSyntax},
		"scale": {one, &event.Decimal{Unscaled: 1, Scale: 19}, ErrPrecision}, "negative scale": {&event.Decimal{Unscaled: 1, Scale: -1}, one, ErrPrecision},
		"digits": {&event.Decimal{Unscaled: math.MaxInt64}, &event.Decimal{Unscaled: 1, Scale: 2}, ErrOverflow},
	} {
		if got, err := Convert(5, 2, 2, c.from, c.to); !errors.Is(err, c.want) {
			t.Errorf("%s: %d, %v; want %v", name, got, err, c.want)
		}
	}
}
