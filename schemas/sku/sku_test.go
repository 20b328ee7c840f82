package sku

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"github.com/helloword/crossdock/schemas/event"
)

// Known numbers: GS1's own examples, python-stdnum's documentation, books and groceries.
func TestParseGTIN(t *testing.T) {
	for _, c := range []struct {
		text, want               string
		global, isCase, variable bool
		err                      error
	}{
		{"4006381333931", "04006381333931", true, false, false, nil}, // Stabilo, the EAN-13 example
		{"036000291452", "00036000291452", true, false, false, nil},  // Kleenex, the UPC-A example
		{"0036000291452", "00036000291452", true, false, false, nil}, // the same as EAN-13
		{"00036000291452", "00036000291452", true, false, false, nil},
		{"73513537", "00000073513537", true, false, false, nil}, // stdnum.ean
		{"9638-5074", "00000096385074", true, false, false, nil},
		{" 400 6381-333931 ", "04006381333931", true, false, false, nil},
		{"10614141000415", "10614141000415", true, true, false, nil},  // GS1 US case
		{"90614141000411", "90614141000411", false, false, true, nil}, // variable measure
		{"9780306406157", "09780306406157", true, false, false, nil},  // a book
		{"2000000000008", "02000000000008", false, false, false, nil}, // in-store
		{"0212345678909", "00212345678909", false, false, false, nil}, // price in the number
		{"049000000009", "00049000000009", true, false, false, nil},
		{"0400000000008", "00400000000008", false, false, false, nil},
		{"9900000000004", "09900000000004", false, false, false, nil}, // coupon
		{"12000000000001", "12000000000001", false, true, false, ErrCheck},
		{"4006381333932", "", false, false, false, ErrCheck},
		{"00000000", "", false, false, false, ErrForm}, {"0000000000000", "", false, false, false, ErrForm},
		{"", "", false, false, false, ErrForm}, {"36000291452", "", false, false, false, ErrForm},
		{"400638133393A", "", false, false, false, ErrForm}, {"4.00638E+12", "", false, false, false, ErrForm},
		{"٤٠٠٦٣٨١٣٣٣٩٣١", "", false, false, false, ErrForm}, {"does not apply", "", false, false, false, ErrForm},
	} {
		got, err := ParseGTIN(c.text)
		if c.err != nil {
			if !errors.Is(err, c.err) {
				t.Errorf("ParseGTIN(%q) = %+v, %v; want %v", c.text, got, err, c.err)
			}
			continue
		}
		want := GTIN{Canonical: c.want, Global: c.global, Case: c.isCase, Variable: c.variable}
		if err != nil || got != want {
			t.Errorf("ParseGTIN(%q) = %+v, %v; want %+v", c.text, got, err, want)
		}
	}
}

func TestCaseItem(t *testing.T) {
	g, err := ParseGTIN("10614141000415")
	if err != nil {
		t.Fatal(err)
	}
	if got := g.Item(); got != "00614141000418" {
		t.Errorf("Item = %s", got)
	}
	single, _ := ParseGTIN("00614141000418")
	if single.Item() != single.Canonical {
		t.Errorf("Item of a single item = %s", single.Item())
	}
}

// Each row of the zero suppression rules, from GS1 General Specifications 7.10.
func TestExpandUPCE(t *testing.T) {
	for upce, want := range map[string]string{
		"04252614": "042100005264", // the textbook example, last digit 1
		"01245714": "012100004574",
		"02345673": "023456000073", // 7
		"01234531": "012300000451", // 3
		"01234543": "012340000053", // 4
		"01234505": "012000003455", // 0
		"06397126": "063200009716", // GTIN.info's example, 2
	} {
		if got, err := ExpandUPCE(upce); got != want || err != nil {
			t.Errorf("ExpandUPCE(%s) = %s, %v; want %s", upce, got, err, want)
		}
	}
	for _, bad := range []string{"", "0425261", "24252614", "04252615", "0425261X", "042526144"} {
		if got, err := ExpandUPCE(bad); err == nil {
			t.Errorf("ExpandUPCE(%q) = %s, want an error", bad, got)
		}
	}
}

// Eight digits: one reading when only one checks; never global when both do.
func TestEightDigits(t *testing.T) {
	if g, err := ParseGTIN("04252614"); err != nil || g.Canonical != "00042100005264" {
		t.Errorf("UPC-E: %+v, %v", g, err)
	}
	both, upce, plain := 0, 0, 0
	for n := 0; n < 2_000_000; n += 7 { // a seventh of all is enough to meet each case often
		text := fmt.Sprintf("%08d", n*10+int(checkDigit(fmt.Sprintf("%07d", n))-'0'))
		if text == "00000000" {
			continue
		}
		g, err := ParseGTIN(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		_, err = ExpandUPCE(text)
		switch {
		case err == nil && g.Global:
			t.Fatalf("%s can be read as GTIN-8 and as UPC-E, and is called global", text)
		case err == nil:
			both++
		case text[0] == '0' && g.Global:
			t.Fatalf("%s is a restricted GTIN-8, and is called global", text)
		default:
			plain++
		}
		if n%77 == 0 { // a digit changed so that the GTIN-8 does not check: UPC-E or an error
			wrong := text[:7] + string('0'+(text[7]-'0'+1)%10)
			if g, err := ParseGTIN(wrong); err == nil {
				upce++
				if g.Canonical[:2] != "00" || len(g.Canonical) != 14 {
					t.Fatalf("%s: %+v", wrong, g)
				}
			}
		}
	}
	if both == 0 || upce == 0 || plain == 0 {
		t.Errorf("both %d, UPC-E %d, GTIN-8 %d: one was never met", both, upce, plain)
	}
}

func TestParseISBN(t *testing.T) {
	for text, want := range map[string]string{
		"0-306-40615-2":     "09780306406157",
		"978-0-306-40615-7": "09780306406157",
		"978 0306 40615 7":  "09780306406157",
		"080442957X":        "09780804429573",
		"0-8044-2957-x":     "09780804429573",
		"979-10-90636-07-1": "09791090636071",
		"09780306406157":    "09780306406157",
		"1-85798-218-5":     "09781857982183",
		"978‐0‑471‑11709‑4": "09780471117094", // hyphens of a typesetter
	} {
		g, err := ParseISBN(text)
		if err != nil || g.Canonical != want || !g.Global {
			t.Errorf("ParseISBN(%q) = %+v, %v; want %s", text, g, err, want)
		}
	}
	for text, want := range map[string]error{
		"0-306-40615-3": ErrCheck, "9780306406158": ErrCheck, "4006381333931": ErrForm,
		"9790260000438": ErrForm, "X306406152": ErrForm, "080442957Y": ErrForm, "": ErrForm, "97803064": ErrForm,
		"19780306406154": ErrForm,
	} {
		if g, err := ParseISBN(text); !errors.Is(err, want) {
			t.Errorf("ParseISBN(%q) = %+v, %v; want %v", text, g, err, want)
		}
	}
	for canonical, want := range map[string]string{
		"09780306406157": "0306406152", "09780804429573": "080442957X", "09791090636071": "", "04006381333931": "", "": "",
	} {
		if got, ok := ISBN10(canonical); got != want || ok != (want != "") {
			t.Errorf("ISBN10(%s) = %s, %v; want %s", canonical, got, ok, want)
		}
	}
}

func TestNormalise(t *testing.T) {
	const (
		gtin = event.IdentifierKind_IDENTIFIER_KIND_GTIN
		isbn = event.IdentifierKind_IDENTIFIER_KIND_ISBN
		asin = event.IdentifierKind_IDENTIFIER_KIND_ASIN
		mpn  = event.IdentifierKind_IDENTIFIER_KIND_MPN
	)
	for _, c := range []struct {
		kind       event.IdentifierKind
		text, want string
		global     bool
		err        error
	}{
		{gtin, "036000291452", "00036000291452", true, nil},
		{gtin, "2000000000008", "02000000000008", false, nil},
		{gtin, "9780306406157", "09780306406157", true, nil},
		{isbn, "0306406152", "09780306406157", true, nil}, // meets the GTIN above
		{isbn, "0306406153", "", false, ErrCheck},
		{gtin, "1", "", false, ErrForm},
		{asin, " b00x4whp5e ", "B00X4WHP5E", true, nil},
		{asin, "0306406152", "0306406152", true, nil},
		{asin, "0306406153", "", false, ErrForm}, {asin, "B00X4WHP5", "", false, ErrForm}, {asin, "B00X4WHP5-", "", false, ErrForm},
		{mpn, " MX-500 ", "MX-500", false, nil}, {mpn, "", "", false, ErrForm},
		{event.IdentifierKind_IDENTIFIER_KIND_UNSPECIFIED, "1", "", false, ErrKind},
	} {
		got, global, err := Normalise(c.kind, c.text)
		if got != c.want || global != c.global || !errors.Is(err, c.err) || (err == nil) != (c.err == nil) {
			t.Errorf("Normalise(%s, %q) = %q, %v, %v; want %q, %v, %v", c.kind, c.text, got, global, err, c.want, c.global, c.err)
		}
	}
	if CanonicalKind(isbn) != gtin || CanonicalKind(asin) != asin {
		t.Error("CanonicalKind")
	}
}

func TestSKU(t *testing.T) {
	for text, want := range map[string]string{
		"85123A": "85123A", "85123a": "85123a", " 85123A\t": "85123A", "POST": "POST",
		"Cafe\u0301": "Café", "a b": "a b", "货号-1": "货号-1", "\u00a0x\u3000": "x",
		strings.Repeat("é", 128): strings.Repeat("é", 128), "A|B/C": "A|B/C",
	} {
		if got, err := SKU(text); got != want || err != nil {
			t.Errorf("SKU(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
	for _, bad := range []string{"", " ", "a\x00b", "a\nb", "a\u200bb", "\ufeffa", "a\u202eb", "a\u2028b", "\xff", strings.Repeat("x", 129), strings.Repeat("é", 129)} {
		if got, err := SKU(bad); !errors.Is(err, ErrForm) {
			t.Errorf("SKU(%q) = %q, %v; want an error", bad, got, err)
		}
	}
}

// Every number with a right check digit is read, and every single wrong digit and every
// swap of neighbours that do not differ by 5 is found: what modulo 10 with weights 3 and 1
// promises.
func TestCheckDigitFindsSlips(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		length := rapid.SampledFrom([]int{12, 13, 14}).Draw(t, "length")
		body := rapid.StringMatching(fmt.Sprintf("[0-9]{%d}", length-1)).Draw(t, "body")
		number := body + string(checkDigit(body))
		g, err := ParseGTIN(number)
		if strings.Trim(number, "0") == "" {
			return
		}
		if err != nil || !strings.HasSuffix(g.Canonical, number) {
			t.Fatalf("%s: %+v, %v", number, g, err)
		}
		if again, err := ParseGTIN(g.Canonical); err != nil || again != g {
			t.Fatalf("canonical %s reads as %+v, %v", g.Canonical, again, err)
		}
		item, err := ParseGTIN(g.Item())
		if err != nil || item.Case {
			t.Fatalf("item %s of %s: %+v, %v", g.Item(), number, item, err)
		}
		i := rapid.IntRange(0, length-1).Draw(t, "at")
		slip := []byte(number)
		slip[i] = '0' + (slip[i]-'0'+byte(rapid.IntRange(1, 9).Draw(t, "by")))%10
		if _, err := ParseGTIN(string(slip)); err == nil {
			t.Fatalf("%s with one digit changed to %s was accepted", number, slip)
		}
		if i > 0 {
			swap := []byte(number)
			swap[i], swap[i-1] = swap[i-1], swap[i]
			d := int(swap[i]) - int(swap[i-1])
			if _, err := ParseGTIN(string(swap)); err == nil && d != 0 && d != 5 && d != -5 {
				t.Fatalf("%s with digits swapped to %s was accepted", number, swap)
			}
		}
	})
}

func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"4006381333931", "04252614", "0-306-40615-2", "B00X4WHP5E", " 85123A ", "\u200b", "Cafe\u0301", "080442957X"} {
		for kind := range int32(5) {
			f.Add(kind, s)
		}
	}
	f.Fuzz(func(t *testing.T, kind int32, text string) {
		k := event.IdentifierKind(kind)
		got, global, err := Normalise(k, text)
		if err != nil {
			if got != "" || global {
				t.Fatalf("Normalise(%s, %q) = %q, %v with error %v", k, text, got, global, err)
			}
			return
		}
		again, globalAgain, err := Normalise(CanonicalKind(k), got)
		if k != CanonicalKind(k) {
			globalAgain = global
		}
		if again != got || err != nil || globalAgain != global && len(text) != 8 {
			t.Fatalf("%q → %q → %q, %v, %v", text, got, again, globalAgain, err)
		}
		if !norm.NFC.IsNormalString(got) {
			t.Fatalf("%q is not composed", got)
		}
	})
}

func BenchmarkSKU(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := SKU("85123A"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseGTIN(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseGTIN("4006381333931"); err != nil {
			b.Fatal(err)
		}
	}
}
