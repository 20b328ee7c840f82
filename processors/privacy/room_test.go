package privacy

import (
	"strings"
	"testing"

	"github.com/helloword/crossdock/internal/stream"
	"github.com/helloword/crossdock/schemas"
	"github.com/helloword/crossdock/schemas/event"
)

// What is kept of a request names nobody, and is the hash that analysts see.
func TestEntryNamesNobody(t *testing.T) {
	room, m := newRoom(t)
	feed(m, request(&event.PrivacyRequest{
		Connector: "ebay", Account: "ebay-uk", Id: "n1", Kind: event.PrivacyKind_PRIVACY_KIND_BUYER,
		BuyerIds: []string{"anns_username", "U-123"}, EveryAccount: true, RequestedMs: 5, DueMs: 6,
	}))
	if _, err := m.Drain(1); err != nil {
		t.Fatal(err)
	}
	s := state(room, m, "ebay-uk/n1")
	b, err := s.MarshalVTStrict()
	if err != nil || len(s.Buyers) != 2 || s.KeyId == "" {
		t.Fatalf("%v, %v", s, err)
	}
	for _, o := range m.Emitted {
		b = append(b, o.Bytes...)
	}
	for _, id := range []string{"anns_username", "U-123", string(key)} {
		if strings.Contains(string(b), id) {
			t.Errorf("the entry says %s", id)
		}
	}
}

// A handover is on record with its last word; the record of a request ends.
func TestHandoverAndExpiry(t *testing.T) {
	room, m := newRoom(t)
	feed(m,
		request(&event.PrivacyRequest{Connector: "shopify", Account: "shop", Id: "data-1", Kind: event.PrivacyKind_PRIVACY_KIND_DATA_REQUEST, BuyerIds: []string{"ann"}, OrderIds: []string{"1"}}),
		handed("shop", "data-1", "kim", "by mail", 20), handed("shop", "data-1", "lee", "", 10))
	out, err := m.Drain(2)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range out {
		if o.Topic.Name == schemas.OrdersIn.Name {
			t.Error("who wants to see data does not want it forgotten")
		}
	}
	s := state(room, m, "shop/data-1")
	if !Done(s) || s.By != "kim" || s.Note != "by mail" || s.DoneMs != 20 || s.DueMs != arrived+defaultTerm.Milliseconds() {
		t.Errorf("request %v", s)
	}
	feed(m, expired("shop", "data-1"), expired("shop", "unknown"))
	if _, err := m.Drain(1); err != nil || state(room, m, "shop/data-1") != nil {
		t.Errorf("after its expiry: %v, %v", state(room, m, "shop/data-1"), err)
	}
}

func TestWhatCannotBeRead(t *testing.T) {
	room, _ := newRoom(t)
	for name, in := range map[string]*event.PrivacyInput{
		"nothing":               {},
		"no kind":               request(&event.PrivacyRequest{Account: "shop", Id: "q"}),
		"no id":                 request(&event.PrivacyRequest{Account: "shop", Kind: event.PrivacyKind_PRIVACY_KIND_BUYER}),
		"a look without a time": swept("shop", "q", 1, 0),
		"a handover by nobody":  handed("shop", "q", "", "", 1),
		"no account":            expired("", "q"),
	} {
		b, err := in.MarshalVTStrict()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := room.Prepare(&stream.Record{Value: b}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := room.Prepare(&stream.Record{Value: []byte("\xff")}); err == nil {
		t.Error("what is no message is taken")
	}
	if _, err := New(Config{}); err == nil {
		t.Error("a room without a key")
	}
}
