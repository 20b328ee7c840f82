package warehouse

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/helloword/crossdock/connectors"
)

// member is one member of a JSON object: its value is a slice of the document itself.
type member struct {
	name  string
	value []byte
}

// malformed is an error that names its place.
func malformed(path, format string, args ...any) error {
	return fmt.Errorf("%s: %s: %w", path, fmt.Sprintf(format, args...), connectors.ErrMalformed)
}

// members reads the members of an object, in order. encoding/json alone would take keys of
// another case for the same, and the last of two equal ones: the warehouse and we would then
// read one document differently.
func members(doc []byte, path string) ([]member, error) {
	if !utf8.Valid(doc) {
		return nil, malformed(path, "not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(doc))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, malformed(path, "not a JSON object")
	}
	var all []member
	for dec.More() {
		key, err := dec.Token()
		name, ok := key.(string)
		if err != nil || !ok {
			return nil, malformed(path, "not JSON at byte %d", dec.InputOffset())
		}
		value, err := next(dec, doc)
		if err != nil {
			return nil, malformed(path+"."+clip(name), "not JSON at byte %d", dec.InputOffset())
		}
		for _, m := range all {
			if m.name == name {
				return nil, malformed(path+"."+clip(name), "it stands twice")
			}
		}
		if len(all) == maxMembers {
			return nil, malformed(path, "more than %d members", maxMembers)
		}
		all = append(all, member{name, value})
	}
	if t, err := dec.Token(); err != nil || t != json.Delim('}') {
		return nil, malformed(path, "not JSON at byte %d", dec.InputOffset())
	}
	if rest := doc[dec.InputOffset():]; len(bytes.TrimLeft(rest, " \t\r\n")) > 0 {
		return nil, malformed(path, "something follows the object at byte %d", dec.InputOffset())
	}
	return all, nil
}

// maxMembers is more than any entry has.
const maxMembers = 32

// next is the next value of the document, as a slice of it.
func next(dec *json.Decoder, doc []byte) ([]byte, error) {
	var raw json.RawMessage
	if err := dec.Decode(&raw); err != nil {
		return nil, err
	}
	end := int(dec.InputOffset())
	return doc[end-len(raw) : end : end], nil
}

// elements reads the elements of an array, at most most.
func elements(doc []byte, path string, most int) ([][]byte, error) {
	dec := json.NewDecoder(bytes.NewReader(doc))
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return nil, malformed(path, "not a JSON array")
	}
	var all [][]byte
	for dec.More() {
		if len(all) == most {
			return nil, malformed(path, "more than %d entries: send several calls", most)
		}
		value, err := next(dec, doc)
		if err != nil {
			return nil, malformed(fmt.Sprintf("%s[%d]", path, len(all)), "not JSON")
		}
		all = append(all, value)
	}
	return all, nil
}

// text reads a string of at most most bytes; empty only where that is allowed.
func text(value []byte, path string, most int, mayBeEmpty bool) (string, error) {
	var s string
	if len(value) == 0 || value[0] != '"' || json.Unmarshal(value, &s) != nil {
		return "", malformed(path, "not a string")
	}
	if s == "" && !mayBeEmpty {
		return "", malformed(path, "it is empty")
	}
	if len(s) > most {
		return "", malformed(path, "longer than %d bytes", most)
	}
	for _, r := range s {
		if unicode.IsControl(r) {
			return "", malformed(path, "it holds a control character")
		}
	}
	return s, nil
}

// integer reads a whole number without fraction and exponent.
func integer(value []byte, path string) (int64, error) {
	n, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil {
		return 0, malformed(path, "%s is not a whole number", clip(string(value)))
	}
	if n < -maxQuantity || n > maxQuantity {
		return 0, malformed(path, "%d is beyond %d", n, int64(maxQuantity))
	}
	return n, nil
}

// instant reads an RFC 3339 time: with its offset, or it would not be an instant.
func instant(value []byte, path string) (time.Time, error) {
	s, err := text(value, path, 64, false)
	if err != nil {
		return time.Time{}, err
	}
	at, err := time.Parse(time.RFC3339, s)
	if err != nil || at.Unix() <= 0 {
		return time.Time{}, malformed(path, "%q is not a time after 1970 such as 2011-12-09T12:50:00Z", clip(s))
	}
	return at, nil
}

// clip keeps what is quoted in an error short.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
