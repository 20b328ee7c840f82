package dev

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSeats: one shop on each platform, whatever the order in which they are named; without any,
// the shops on Shopify.
func TestSeats(t *testing.T) {
	for _, tt := range []struct {
		channels []string
		want     []seat
		says     string
	}{
		{nil, []seat{{"one", "shopify"}, {"two", "shopify"}}, ""},
		{[]string{"ebay", "shopify"}, []seat{{"shopify", "shopify"}, {"ebay", "ebay"}}, ""},
		{[]string{"amazon"}, []seat{{"amazon", "amazon"}}, ""},
		{[]string{"amazon", "etsy"}, nil, `"etsy"`},
		{[]string{"amazon", "amazon"}, nil, "twice"},
	} {
		got, err := seatsOf(tt.channels, "one", "two")
		if (err == nil) != (tt.says == "") || err != nil && !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%v: %v, want %q", tt.channels, err, tt.says)
		}
		if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(seat{})); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tt.channels, diff)
		}
	}
}

// TestChannelOf: every country buys at a shop that is there, and five shops all have some.
func TestChannelOf(t *testing.T) {
	for n := 1; n <= len(preferred); n++ {
		used := map[int]bool{}
		for country := range isoCountry {
			at := channelOf(country, n)
			if at < 0 || at >= n {
				t.Fatalf("%s buys at shop %d of %d", country, at, n)
			}
			used[at] = true
		}
		if len(used) != n {
			t.Errorf("of %d shops %d sell", n, len(used))
		}
		if channelOf("United Kingdom", n) != 0 || channelOf("Unspecified", n) != 0 {
			t.Errorf("home buys at %d of %d", channelOf("United Kingdom", n), n)
		}
	}
	for i, region := range regions {
		for _, country := range region {
			if isoCountry[country] == "" {
				t.Errorf("region %d: the file has no %q", i, country)
			}
		}
	}
}
