package dev

import (
	"fmt"
	"slices"
	"strings"

	"github.com/helloword/crossdock/cmd/crossdock/shops"
)

// seat is a shop that is opened: the name of its connection, and its platform.
type seat struct{ account, platform string }

// preferred is the order in which platforms get the groups of countries, the largest first.
var preferred = []string{"shopify", "woocommerce", "magento", "amazon", "ebay"}

// seatsOf is one shop on each platform that is named, or shops on Shopify of those names.
func seatsOf(channels []string, shopify ...string) (seats []seat, err error) {
	for i, c := range channels {
		switch {
		case !slices.Contains(shops.Platforms(), c):
			return nil, fmt.Errorf("--channels: there is no simulator of %q: choose from %s", c, strings.Join(preferred, ", "))
		case slices.Contains(channels[:i], c):
			return nil, fmt.Errorf("--channels: %s stands there twice", c)
		}
	}
	for _, c := range preferred {
		if slices.Contains(channels, c) {
			seats = append(seats, seat{c, c})
		}
	}
	if len(seats) == 0 {
		for _, name := range shopify {
			seats = append(seats, seat{name, "shopify"})
		}
	}
	return seats, nil
}

// groups are the shops of a year on Shopify: one for each group of countries.
var groups = []string{"shop-uk", "shop-ireland", "shop-europe", "shop-world"}

var europe = map[string]bool{
	"Germany": true, "France": true, "Spain": true, "Netherlands": true, "Belgium": true, "Switzerland": true,
	"Portugal": true, "Norway": true, "Italy": true, "Finland": true, "Cyprus": true, "Sweden": true, "Austria": true,
	"Denmark": true, "Poland": true, "Iceland": true, "Greece": true, "Malta": true, "European Community": true,
	"Lithuania": true, "Czech Republic": true,
}

func home(country string) bool {
	return country == "United Kingdom" || country == "Channel Islands" || country == "Unspecified"
}

// groupOf is the shop on Shopify where a country buys.
func groupOf(country string) int {
	switch {
	case home(country):
		return 0
	case country == "EIRE":
		return 1
	case europe[country]:
		return 2
	default:
		return 3
	}
}

// regions are the countries beyond home and before the rest of the world, with about as many
// orders each, a fortieth of all.
var regions = [][]string{
	{"Germany", "Austria", "Switzerland"},
	{"France", "Belgium", "Netherlands"},
	{"EIRE", "Spain", "Portugal", "Italy", "Greece", "Cyprus", "Malta"},
}

// channelOf is the shop where a country buys when there are n, each on a platform of its own: home
// on the first, each region on the next, and round again where there are fewer.
func channelOf(country string, n int) int {
	if home(country) {
		return 0
	}
	at := slices.IndexFunc(regions, func(r []string) bool { return slices.Contains(r, country) })
	if at < 0 {
		at = len(regions)
	}
	return (at + 1) % n
}
