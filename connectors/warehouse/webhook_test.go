package warehouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/schemas"
)

const (
	current  = "a secret of the tests, current"
	previous = "a secret of the tests, previous"
)

var received = time.Unix(1_323_435_000, 0)

// open makes a connection whose secrets stand in files.
func open(t testing.TB) *connectors.Connector {
	t.Helper()
	dir := t.TempDir()
	write := func(name, value string) connectors.Secret {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return connectors.Secret("file:" + path)
	}
	c, err := New(Config{Secret: write("current", current), PreviousSecret: write("previous", previous)}, schemas.Test, connectors.Deps{Account: "depot"})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func call(body, signature string) *connectors.Delivery {
	return &connectors.Delivery{Method: http.MethodPost, Body: []byte(body), Received: received,
		Header: http.Header{SignatureHeader: {signature}, DeliveryHeader: {"d-1"}}}
}

func signed(body string) *connectors.Delivery {
	return call(body, Sign(current, received, []byte(body)))
}

const receipt = `{"kind":"receipt","id":"r/1","sku":"85123A","warehouse":"main","quantity":12,"occurred_at":"2011-12-09T12:50:00Z"}`

// A vector made with: printf '%s.%s' 1323435000 "$body" | openssl dgst -sha256 -hmac "$secret"
func TestSignVector(t *testing.T) {
	const want = "t=1323435000,v1=0ad3a6f82207a0b231d341330ee6c92954589f9d7cb107be4eae50a33834fb6c"
	if got := Sign(current, received, []byte(receipt)); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestReceiveOne(t *testing.T) {
	d := signed(receipt)
	got, err := open(t).Receive.Receive(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	want := []connectors.Raw{{Subject: connectors.Stock, Object: "r/1", Body: []byte(receipt), Format: Format, Delivery: "d-1",
		SourceTime: time.Date(2011, 12, 9, 12, 50, 0, 0, time.UTC)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Each entry of a list is its own record, byte for byte as it stood in the body.
func TestReceiveList(t *testing.T) {
	bodies := []string{
		`{ "id" : "a",  "note":"spaces\u0020stay" }`,
		"{\"id\":\"b\",\n\t\"quantity\": 1.50e1}",
		`{"id":"ü","x":{"y":[1,2,{"z":null}]}}`,
	}
	body := " {\"entries\" : [ " + strings.Join(bodies, " ,\n ") + " ] }\r\n"
	d := signed(body)
	got, err := open(t).Receive.Receive(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range bodies {
		if string(got[i].Body) != want {
			t.Errorf("entry %d is %q, want %q", i, got[i].Body, want)
		}
	}
	if len(got) != 3 || got[0].Object != "a" || got[1].Object != "b" || got[2].Object != "ü" {
		t.Errorf("got %+v", got)
	}
	// No copy: the entries are slices of the body.
	if &got[0].Body[0] != &d.Body[strings.Index(body, bodies[0])] {
		t.Error("the entry was copied")
	}
}

func TestReceiveMalformed(t *testing.T) {
	many := `{"entries":[` + strings.TrimSuffix(strings.Repeat(`{"id":"x"},`, MaxEntries+1), ",") + `]}`
	for body, place := range map[string]string{
		``: "$", `null`: "$", `[]`: "$", `"x"`: "$", `{`: "$", `{"id":"a"`: "$", `{"id":}`: "$.id", `{id:1}`: "$",
		`{"id":"a"} {}`: "$: something follows", `{"id":"a"}x`: "$: something follows",
		`{}`: "$.id: it is missing", `{"ID":"a"}`: "$.id: it is missing", `{"id":""}`: "$.id: it is empty", `{"id":7}`: "$.id: not a string",
		`{"id":null}`: "$.id", `{"id":"a","id":"b"}`: "$.id: it stands twice", `{"id":"a","\u0069d":"b"}`: "$.id: it stands twice",
		`{"id":"a\u0000"}`: "$.id: it holds a control", `{"id":"` + strings.Repeat("x", maxID+1) + `"}`: "$.id: longer",
		"{\"id\":\"\xff\"}":                              "$: not UTF-8",
		`{"entries":{}}`:                                 "$.entries: not a JSON array",
		`{"entries":null}`:                               "$.entries: not a JSON array",
		`{"entries":[1]}`:                                "$.entries[0]: not a JSON object",
		`{"entries":[{"id":"a"},{}]}`:                    "$.entries[1].id: it is missing",
		`{"entries":[{"id":"a"},{"id":"b"},{"id":"a"}]}`: `$.entries[2].id: "a" is the id of $.entries[0]`,
		`{"entries":[{"id":"a"}],"more":1}`:              "$.id: it is missing",
		many:                                             "more than 1000 entries",
		`{"id":"a","x":1,"x":2}`:                         "$.x: it stands twice",
	} {
		got, err := open(t).Receive.Receive(t.Context(), signed(body))
		if !errors.Is(err, connectors.ErrMalformed) || !strings.Contains(err.Error(), place) || got != nil {
			t.Errorf("%.60s: %v, want %s", body, err, place)
		}
	}
	d := signed(receipt)
	d.Header.Set(DeliveryHeader, strings.Repeat("x", maxID+1))
	if _, err := open(t).Receive.Receive(t.Context(), d); !errors.Is(err, connectors.ErrMalformed) {
		t.Errorf("long delivery id: %v", err)
	}
	if got, err := open(t).Receive.Receive(t.Context(), signed(`{"entries":[]}`)); err != nil || len(got) != 0 {
		t.Errorf("an empty list is a ping: %v, %v", got, err)
	}
}

func TestAuthenticate(t *testing.T) {
	c := open(t)
	body := []byte(receipt)
	good := Sign(current, received, body)
	at := func(d time.Duration) string { return Sign(current, received.Add(d), body) }
	for name, tc := range map[string]struct {
		signature string
		want      bool
	}{
		"current":              {good, true},
		"previous":             {Sign(previous, received, body), true},
		"another":              {Sign("another secret of the tests", received, body), false},
		"at the window's end":  {at(-5 * time.Minute), true},
		"too old":              {at(-5*time.Minute - time.Second), false},
		"from a faster clock":  {at(5 * time.Minute), true},
		"from the future":      {at(5*time.Minute + time.Second), false},
		"empty":                {"", false},
		"no time":              {good[strings.Index(good, "v1="):], false},
		"no digest":            {good[:strings.Index(good, ",")], false},
		"upper case":           {strings.ToUpper(good), false},
		"upper case digest":    {good[:20] + strings.ToUpper(good[20:]), false},
		"a space":              {strings.Replace(good, ",", ", ", 1), false},
		"a leading zero":       {strings.Replace(good, "t=", "t=0", 1), false},
		"a plus":               {strings.Replace(good, "t=", "t=+", 1), false},
		"two times":            {"t=" + good, false},
		"something after":      {good + ",v1=00", false},
		"a time beyond bounds": {"t=9223372036854775807,v1=00", false},
	} {
		_, err := c.Receive.Receive(t.Context(), call(receipt, tc.signature))
		if (err == nil) != tc.want || err != nil && !errors.Is(err, connectors.ErrUnauthentic) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, h := range []http.Header{{}, {SignatureHeader: {good, good}}, {SignatureHeader: nil}} {
		d := call(receipt, "")
		d.Header = h
		if _, err := c.Receive.Receive(t.Context(), d); !errors.Is(err, connectors.ErrUnauthentic) {
			t.Errorf("headers %v: %v", h, err)
		}
	}
}

// Each single flipped bit of body and signature is refused, and each truncation.
func TestEveryFlippedBitIsRefused(t *testing.T) {
	c := open(t)
	refuse := func(d *connectors.Delivery, what string, args ...any) {
		t.Helper()
		if _, err := c.Receive.Receive(t.Context(), d); !errors.Is(err, connectors.ErrUnauthentic) {
			t.Errorf("%s: %v", fmt.Sprintf(what, args...), err)
		}
	}
	good := Sign(current, received, []byte(receipt))
	for i := range len(receipt) * 8 {
		b := []byte(receipt)
		b[i/8] ^= 1 << (i % 8)
		refuse(call(string(b), good), "body, bit %d", i)
	}
	for i := range len(good) * 8 {
		b := []byte(good)
		b[i/8] ^= 1 << (i % 8)
		refuse(call(receipt, string(b)), "signature, bit %d (%q)", i, b)
	}
	for i := range len(receipt) {
		refuse(call(receipt[:i], good), "body cut at %d", i)
	}
	for i := range len(good) {
		refuse(call(receipt, good[:i]), "signature cut at %d", i)
	}
	if _, err := c.Receive.Receive(t.Context(), call(receipt, good)); err != nil {
		t.Fatalf("the untouched call: %v", err)
	}
}

// A secret that cannot be read is our trouble, not the caller's: it is told to come again.
func TestMissingSecretIsTransient(t *testing.T) {
	c, err := New(Config{Secret: "env:CROSSDOCK_TEST_NO_SUCH_VARIABLE"}, schemas.Test, connectors.Deps{Account: "depot"})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Receive.Receive(t.Context(), signed(receipt))
	if got := connectors.Class(err); got != "transient" {
		t.Errorf("class %s: %v", got, err)
	}
}

func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	write := func(s string) {
		if err := os.WriteFile(path, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("the first secret of all")
	c, err := New(Config{Secret: connectors.Secret("file:" + path), PreviousSecret: "file:/nonexistent"}, schemas.Test, connectors.Deps{Account: "depot"})
	if err != nil {
		t.Fatal(err)
	}
	write(current) // without a restart
	if _, err := c.Receive.Receive(t.Context(), signed(receipt)); err != nil {
		t.Error(err)
	}
}

func TestConfigAndCheck(t *testing.T) {
	for name, tc := range map[string]struct {
		cfg  Config
		want string
	}{
		"no secret":     {Config{}, "secret"},
		"pasted secret": {Config{Secret: "hunter2hunter2hunter2"}, "secret"},
		"previous":      {Config{Secret: "env:A", PreviousSecret: "hunter2"}, "previous_secret"},
		"window":        {Config{Secret: "env:A", ReplayWindow: 2 * time.Hour}, "replay_window"},
	} {
		_, err := New(tc.cfg, schemas.Production, connectors.Deps{Account: "depot"})
		if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Config{Secret: "env:A"}, schemas.Test, connectors.Deps{}); err == nil {
		t.Error("a connection without account was opened")
	}
	c := open(t)
	if diff := cmp.Diff([]string{"check", "receive", "translate"}, c.Capabilities()); diff != "" || c.Kind != connectors.Warehouse || c.Name != Name {
		t.Errorf("%s %s %s", c.Name, c.Kind, diff)
	}
	t.Setenv("CROSSDOCK_TEST_SHORT", "short")
	t.Setenv("CROSSDOCK_TEST_LONG", current)
	for _, tc := range []struct {
		cfg  Config
		want []bool
	}{
		{Config{Secret: "env:CROSSDOCK_TEST_LONG"}, []bool{true}},
		{Config{Secret: "env:CROSSDOCK_TEST_SHORT", PreviousSecret: "env:CROSSDOCK_TEST_LONG"}, []bool{false, true}},
		{Config{Secret: "env:CROSSDOCK_TEST_LONG", PreviousSecret: "env:CROSSDOCK_TEST_LONG"}, []bool{true, false}},
		{Config{Secret: "env:CROSSDOCK_TEST_NO_SUCH_VARIABLE"}, []bool{false}},
	} {
		results, err := checker{tc.cfg}.Check(context.Background())
		if err != nil || len(results) != len(tc.want) {
			t.Fatalf("%v, %v", results, err)
		}
		for i, r := range results {
			if r.OK != tc.want[i] || !r.OK && r.Advice == "" || strings.Contains(fmt.Sprint(r), current) {
				t.Errorf("%+v", r)
			}
		}
	}
}

func FuzzReceive(f *testing.F) {
	f.Add([]byte(receipt), "")
	f.Add([]byte(`{"entries":[{"id":"a"},{"id":"b"}]}`), "t=1323435000,v1=00")
	f.Add([]byte(`{"entries":[ ]}`), "")
	f.Fuzz(func(t *testing.T, body []byte, signature string) {
		c := open(t)
		kept := bytes.Clone(body)
		if _, err := c.Receive.Receive(t.Context(), call(string(body), signature)); err == nil && signature != Sign(current, received, body) && signature != Sign(previous, received, body) {
			t.Fatalf("%q was taken for a signature", signature)
		}
		d := &connectors.Delivery{Body: body, Received: received, Header: http.Header{SignatureHeader: {Sign(current, received, body)}}}
		raws, err := c.Receive.Receive(t.Context(), d)
		if err != nil && !errors.Is(err, connectors.ErrMalformed) {
			t.Fatal(err)
		}
		if !bytes.Equal(kept, body) {
			t.Fatal("the body was altered")
		}
		for _, r := range raws {
			if r.Object == "" || !bytes.Contains(body, r.Body) {
				t.Errorf("%q is no part of the body", r.Body)
			}
			_, err := c.Translate.Translate(&connectors.Record{Account: "depot", Object: r.Object, Format: r.Format, Body: r.Body})
			if err != nil && !errors.Is(err, connectors.ErrMalformed) && !errors.Is(err, connectors.ErrUnsupported) {
				t.Error(err)
			}
		}
	})
}
