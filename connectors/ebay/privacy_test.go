package ebay

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/helloword/crossdock/connectors"
	"github.com/helloword/crossdock/internal/testkit"
	"github.com/helloword/crossdock/schemas/event"
)

func deletion(body []byte) (*event.PrivacyRequest, error) {
	facts, err := new(translator).Translate(&connectors.Record{Subject: connectors.Orders, Account: "ebay-uk", Object: "user/U", Format: formatDeletion, Body: body})
	if err != nil || len(facts.Privacy) != 1 {
		return nil, err
	}
	return facts.Privacy[0], nil
}

// eBay's own vectors of closed accounts become requests, due in a month.
func TestOfficialDeletions(t *testing.T) {
	text, err := os.ReadFile(testkit.Shared(t, "vectors", "ebay", "notification-vectors.json"))
	if err != nil {
		t.Fatal(err)
	}
	var vectors map[string]struct {
		Message json.RawMessage `json:"message"`
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	got, err := deletion(vectors["VALID"].Message)
	if err != nil || got == nil {
		t.Fatalf("%v, %v", got, err)
	}
	asked := time.Date(2021, 3, 19, 20, 43, 59, 462e6, time.UTC)
	if got.Id != "49feeaeb-4982-42d9-a377-9645b8479411_33f7e043-fed8-442b-9d44-791923bd9a6d" || !got.EveryAccount ||
		got.Kind != event.PrivacyKind_PRIVACY_KIND_BUYER || !slices.Equal(got.BuyerIds, []string{"ma8vp1jySJC", "test_user"}) ||
		got.RequestedMs != asked.UnixMilli() || got.DueMs != asked.AddDate(0, 0, 30).UnixMilli() {
		t.Errorf("got %v", got)
	}
}

func TestDeletionsThatNameNobody(t *testing.T) {
	for _, body := range []string{
		`{"metadata":{"topic":"MARKETPLACE_ACCOUNT_DELETION"},"notification":{"notificationId":"n1","eventDate":"2026-11-02T09:00:00.000Z","data":{}}}`,
		`{"notification":{"data":{"userId":"U"}}}`,
		`{}`,
	} {
		if _, err := deletion([]byte(body)); !errors.Is(err, connectors.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", body, err)
		}
	}
}
