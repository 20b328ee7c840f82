package event_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/helloword/crossdock/schemas/event"
)

// Golden encodings: testdata/<message>.<n>.hex is what a program of some day wrote, and
// <message>.<n>.json what it meant by it. Every program since must read the same from the
// same bytes. A file is never changed. A message that has got new fields gets a new pair
// with the next n:
//
//	CROSSDOCK_GOLDEN=add go test ./schemas/event
//
// writes those that are missing, and nothing else.

// wire is what all generated messages have.
type wire interface {
	proto.Message
	MarshalVTStrict() ([]byte, error)
	UnmarshalVT([]byte) error
}

// messages are all types of the package.
func messages(t *testing.T) []protoreflect.MessageType {
	t.Helper()
	var all []protoreflect.MessageType
	protoregistry.GlobalTypes.RangeMessages(func(mt protoreflect.MessageType) bool {
		if mt.Descriptor().FullName().Parent() == (&event.Order{}).ProtoReflect().Descriptor().FullName().Parent() {
			all = append(all, mt)
		}
		return true
	})
	if len(all) < 40 {
		t.Fatalf("found %d messages, there are more", len(all))
	}
	return all
}

func TestGolden(t *testing.T) {
	for _, mt := range messages(t) {
		name := string(mt.Descriptor().Name())
		t.Run(name, func(t *testing.T) {
			covered := make(map[protoreflect.Name]bool)
			n := 1
			for ; ; n++ {
				m, ok := read(t, mt, name, n)
				if !ok {
					break
				}
				m.ProtoReflect().Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
					covered[f.Name()] = true
					return true
				})
			}
			missing := uncovered(mt, covered)
			if len(missing) == 0 {
				return
			}
			if os.Getenv("CROSSDOCK_GOLDEN") != "add" {
				t.Fatalf("no golden encoding has %v: add one, see the top of this file", missing)
			}
			for len(missing) > 0 {
				m := mt.New()
				fill(m, missing, 4)
				write(t, name, n, m.Interface().(wire))
				m.Range(func(f protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
					covered[f.Name()] = true
					return true
				})
				missing = uncovered(mt, covered)
				n++
			}
		})
	}
}

func uncovered(mt protoreflect.MessageType, covered map[protoreflect.Name]bool) []protoreflect.Name {
	var names []protoreflect.Name
	fields := mt.Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); !covered[f.Name()] {
			names = append(names, f.Name())
		}
	}
	return names
}

func path(name string, n int, ext string) string {
	return filepath.Join("testdata", fmt.Sprintf("%s.%d.%s", name, n, ext))
}

// read reads one golden encoding and compares it with what it meant.
func read(t *testing.T, mt protoreflect.MessageType, name string, n int) (wire, bool) {
	t.Helper()
	text, err := os.ReadFile(path(name, n, "hex"))
	if os.IsNotExist(err) {
		return nil, false
	}
	must(t, err)
	golden, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	must(t, err)
	meaning, err := os.ReadFile(path(name, n, "json"))
	must(t, err)
	want := mt.New().Interface()
	must(t, protojson.Unmarshal(meaning, want))

	got := mt.New().Interface().(wire)
	must(t, got.UnmarshalVT(golden))
	if !proto.Equal(got, want) {
		t.Fatalf("%s: got %v, want %v", path(name, n, "hex"), got, want)
	}
	if unknown := got.ProtoReflect().GetUnknown(); len(unknown) > 0 {
		t.Fatalf("%s: %x is not known any more", path(name, n, "hex"), unknown)
	}
	again, err := got.MarshalVTStrict()
	must(t, err)
	if !bytes.Equal(again, golden) {
		t.Fatalf("%s: written again as %x", path(name, n, "hex"), again)
	}
	return got, true
}

func write(t *testing.T, name string, n int, m wire) {
	t.Helper()
	b, err := m.MarshalVTStrict()
	must(t, err)
	meaning, err := protojson.MarshalOptions{Multiline: true, UseProtoNames: true}.Marshal(m)
	must(t, err)
	must(t, os.MkdirAll("testdata", 0o755))
	encoded := hex.EncodeToString(b)
	var lines []byte
	for len(encoded) > 0 {
		cut := min(len(encoded), 96)
		lines = append(append(lines, encoded[:cut]...), '\n')
		encoded = encoded[cut:]
	}
	must(t, os.WriteFile(path(name, n, "hex"), lines, 0o600))
	must(t, os.WriteFile(path(name, n, "json"), append(meaning, '\n'), 0o600))
}

// fill sets every field; of a oneof the first whose name is wanted.
func fill(m protoreflect.Message, wanted []protoreflect.Name, depth int) {
	fields := m.Descriptor().Fields()
	chosen := make(map[protoreflect.Name]bool)
	for i := range fields.Len() {
		f := fields.Get(i)
		if o := f.ContainingOneof(); o != nil && !o.IsSynthetic() {
			if chosen[o.Name()] || wanted != nil && !contains(wanted, f.Name()) {
				continue
			}
			chosen[o.Name()] = true
		}
		if f.Message() != nil && depth == 0 {
			continue
		}
		if f.IsList() {
			list := m.Mutable(f).List()
			for k := range 2 {
				list.Append(value(f, k, func() protoreflect.Value { return list.NewElement() }, depth))
			}
			continue
		}
		m.Set(f, value(f, 0, func() protoreflect.Value { return m.NewField(f) }, depth))
	}
}

func value(f protoreflect.FieldDescriptor, k int, message func() protoreflect.Value, depth int) protoreflect.Value {
	n := int64(f.Number())*1000 + int64(k)
	switch f.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(true)
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(fmt.Sprintf("%s-%d é中", f.Name(), k))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes([]byte{0, 0xff, byte(k)})
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(f.Enum().Values().Get(f.Enum().Values().Len() - 1).Number())
	case protoreflect.Int32Kind:
		return protoreflect.ValueOfInt32(int32(-n))
	case protoreflect.Int64Kind:
		return protoreflect.ValueOfInt64(1<<40 - n)
	case protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(1<<63 | uint64(n))
	case protoreflect.MessageKind:
		v := message()
		fill(v.Message(), nil, depth-1)
		return v
	default:
		panic("teach this test the kind " + f.Kind().String())
	}
}

func contains(names []protoreflect.Name, name protoreflect.Name) bool {
	for _, n := range names {
		if n == name {
			return true
		}
	}
	return false
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
