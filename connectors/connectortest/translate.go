package connectortest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/helloword/crossdock/connectors"
)

// pure checks that translating is a function: the same facts from the same bytes, whoever
// asks and how many at once, and facts that do not change when the bytes do.
func pure(r reporter, s Suite, rec Record) {
	r.Helper()
	want, err := translated(s, rec.Record)
	if err != nil {
		r.Errorf("it cannot be translated: %v", err)
		return
	}
	var wg sync.WaitGroup
	results := make([]error, 8)
	for i := range results {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 20 {
				if got, err := translated(s, rec.Record); err != nil || !bytes.Equal(got, want) {
					results[i] = fmt.Errorf("another result when translated again, at the same time as others (%v)", err)
					return
				}
			}
		}()
	}
	wg.Wait()
	for _, err := range results {
		if err != nil {
			r.Errorf("%v", err)
			break
		}
	}
	mine := rec.Record
	mine.Body = bytes.Clone(rec.Record.Body)
	facts, err := s.Connector.Translate.Translate(&mine)
	if err != nil {
		r.Errorf("%v", err)
		return
	}
	if !bytes.Equal(mine.Body, rec.Record.Body) {
		r.Errorf("translating altered the record")
	}
	for i := range mine.Body {
		mine.Body[i] = 'x'
	}
	if got, err := encode(facts); err != nil || !bytes.Equal(got, want) {
		r.Errorf("the facts changed with the record's bytes: they share their memory")
	}
	for _, o := range facts.Orders {
		if o.Origin != nil || o.Version != nil {
			r.Errorf("order %s carries an origin or a version: the rooms give them", o.Id)
		}
		for _, l := range o.Lines {
			if l.Resolution != nil {
				r.Errorf("order %s carries a resolution: the catalog gives it", o.Id)
			}
		}
	}
}

// truncated checks that a record cut anywhere is ErrMalformed and nothing worse.
func truncated(r reporter, s Suite, rec Record) {
	r.Helper()
	whole := len(bytes.TrimRight(rec.Record.Body, " \t\r\n"))
	wrong := 0
	for _, cut := range sample(whole, 3000) {
		mine := rec.Record
		mine.Body = bytes.Clone(rec.Record.Body[:cut])
		if _, err := translated(s, mine); !errors.Is(err, connectors.ErrMalformed) && wrong < 5 {
			wrong++
			r.Errorf("cut after %d of %d bytes: %v, want ErrMalformed", cut, whole, err)
		}
	}
	strange := rec.Record
	strange.Format = "no such format"
	if _, err := translated(s, strange); !errors.Is(err, connectors.ErrUnsupported) {
		r.Errorf("a format that nobody knows: %v, want ErrUnsupported", err)
	}
}

// translated translates a copy and encodes; a panic becomes an error.
func translated(s Suite, rec connectors.Record) (b []byte, err error) {
	rec.Body = bytes.Clone(rec.Body)
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	facts, err := s.Connector.Translate.Translate(&rec)
	if err != nil {
		return nil, err
	}
	return encode(facts)
}

// messages is all facts in the order of their struct.
func messages(f connectors.Facts) (all []proto.Message, names []string) {
	add := func(name string, m proto.Message) { all, names = append(all, m), append(names, name) }
	for _, m := range f.Orders {
		add("order", m)
	}
	for _, m := range f.Refunds {
		add("refund", m)
	}
	for _, m := range f.Products {
		add("product", m)
	}
	for _, m := range f.Deleted {
		add("product_deleted", m)
	}
	for _, m := range f.Observations {
		add("observation", m)
	}
	for _, m := range f.Adjustments {
		add("adjustment", m)
	}
	for _, m := range f.Returns {
		add("unmatched_return", m)
	}
	for _, m := range f.Returned {
		add("returned", m)
	}
	for _, m := range f.Rates {
		add("rates", m)
	}
	for _, m := range f.Privacy {
		add("privacy_request", m)
	}
	return all, names
}

func encode(f connectors.Facts) ([]byte, error) {
	var b []byte
	all, names := messages(f)
	for i, m := range all {
		one, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("encoding a fact: %w", err)
		}
		b = fmt.Appendf(b, "%s %d ", names[i], len(one))
		b = append(b, one...)
	}
	return b, nil
}

// golden compares the facts with the file that was reviewed.
func golden(r reporter, s Suite, rec Record) {
	r.Helper()
	mine := rec.Record
	facts, err := s.Connector.Translate.Translate(&mine)
	if err != nil {
		return // pure has said so
	}
	got, err := readable(facts)
	if err != nil {
		r.Errorf("%v", err)
		return
	}
	path := filepath.Join(s.Golden, strings.ReplaceAll(rec.Name, "/", "_")+".golden.json")
	if *update {
		if err := os.MkdirAll(s.Golden, 0o755); err != nil {
			r.Errorf("%v", err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			r.Errorf("%v", err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		r.Errorf("no golden file: run the test with -update and read what it wrote: %v", err)
		return
	}
	if !bytes.Equal(got, want) {
		r.Errorf("%s differs; if the change is meant, run with -update.\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// readable is the facts as JSON; protojson varies its white space on purpose.
func readable(f connectors.Facts) ([]byte, error) {
	type fact struct {
		Kind string          `json:"kind"`
		Fact json.RawMessage `json:"fact"`
	}
	list := []fact{}
	all, names := messages(f)
	for i, m := range all {
		text, err := protojson.Marshal(m)
		if err != nil {
			return nil, fmt.Errorf("printing a fact: %w", err)
		}
		list = append(list, fact{names[i], text})
	}
	b, err := json.MarshalIndent(list, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("printing facts: %w", err)
	}
	return append(b, '\n'), nil
}
