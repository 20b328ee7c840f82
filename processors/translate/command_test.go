package translate

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// office asks for what the record's body names.
type office map[string]*event.Command

func (o office) Translate(r *connectors.Record) (connectors.Facts, error) {
	c := o[string(r.Body)]
	if c == nil {
		return connectors.Facts{}, connectors.ErrMalformed
	}
	return connectors.Facts{Commands: []*event.Command{c.CloneVT()}}, nil
}

func officeRoom(t *testing.T, o office) *stream.Memory {
	t.Helper()
	room, err := New(Config{Translators: map[Source]connectors.Translator{{"shopify", "shop"}: o}}, view{})
	if err != nil {
		t.Fatal(err)
	}
	sr, err := stream.NewRoom(room, "test")
	if err != nil {
		t.Fatal(err)
	}
	return stream.NewMemory(sr, schemas.RawStock)
}

func shipping() *event.Command {
	return &event.Command{Id: "s", Account: "uk", OrderId: "1001", RequestedMs: 7, Action: &event.Command_Shipment{Shipment: &event.ShipmentReport{Tracking: "T"}}}
}

// TestCommandsFindTheirRoom: a price by way of the catalog, the rest at once; once each, under
// an id that is the source's within its connection.
func TestCommandsFindTheirRoom(t *testing.T) {
	bySKU := &event.Command{Id: "p", Account: "uk", RequestedMs: 7, Action: &event.Command_Price{Price: &event.PriceChange{Sku: "S", Amount: &event.Amount{Currency: "GBP"}}}}
	byListing := &event.Command{Id: "l", Account: "uk", RequestedMs: 7, Action: &event.Command_Price{Price: &event.PriceChange{ListingId: "44", Amount: &event.Amount{Currency: "GBP"}}}}
	m := officeRoom(t, office{"ship": shipping(), "sku": bySKU, "listing": byListing})
	var rs []stream.Record
	for _, body := range []string{"ship", "sku", "listing", "ship", "sku", "listing"} {
		rs = append(rs, record("webhook", []byte(body)))
	}
	out := handle(t, m, rs...)
	if len(out) != 3 {
		t.Fatalf("%d outputs: a request that came twice counts twice", len(out))
	}
	for i, want := range []struct {
		topic schemas.Topic
		key   string
		c     *event.Command
	}{{schemas.CommandsIn, "uk/1001", shipping()}, {schemas.CatalogIn, "uk/S", bySKU}, {schemas.CatalogIn, "uk/44", byListing}} {
		var got *event.Command
		var id []byte
		switch v := out[i].Value.(type) {
		case *event.CommandInput:
			got, id = v.GetCommand(), v.EventId
		case *event.CatalogInput:
			got, id = v.GetCommand(), v.EventId
		}
		want.c.Id = "shop/" + want.c.Id
		want.c.Origin = origin(event.Path_PATH_WEBHOOK, int64(i), schemas.RawStock)
		if d := cmp.Diff(want.c, got, protocmp.Transform()); d != "" {
			t.Errorf("%s: %s", want.key, d)
		}
		if out[i].Topic.Name != want.topic.Name || string(out[i].Key) != want.key || len(id) != idSize {
			t.Errorf("%s %s with an id of %d bytes, want %s %s", out[i].Topic.Name, out[i].Key, len(id), want.topic.Name, want.key)
		}
	}
}

func TestCommandsRefused(t *testing.T) {
	for name, spoil := range map[string]func(*event.Command){
		"no id": func(c *event.Command) { c.Id = "" }, "no account": func(c *event.Command) { c.Account = "" },
		"no time": func(c *event.Command) { c.RequestedMs = 0 }, "nothing to do": func(c *event.Command) { c.Action = nil },
		"no order": func(c *event.Command) { c.OrderId = "" },
	} {
		c := shipping()
		spoil(c)
		out := handle(t, officeRoom(t, office{"x": c}), record("webhook", []byte("x")))
		if len(out) != 1 || out[0].Topic.Name != schemas.DeadLetters("translate").Name {
			t.Errorf("%s: %v", name, out)
		}
	}
}
