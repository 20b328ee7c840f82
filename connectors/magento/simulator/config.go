package simulator

import "time"

// Config is one shop. Zero fields take the defaults that are named.
type Config struct {
	// Name of the shop; default "Simulated shop".
	Name string
	// Currency is the base currency, default "EUR".
	Currency string
	// Source is the code of the only source, default "default".
	Source string
	// Zone is the shop's time zone as storeConfigs tells it, default "Asia/Shanghai".
	Zone string
	// The four keys of the one integration; defaults "simulated-key", "simulated-secret",
	// "simulated-token", "simulated-token-secret".
	ConsumerKey, ConsumerSecret, AccessToken, AccessTokenSecret string
	// BearerAllowed: the access token alone is taken as well.
	BearerAllowed bool
	// Username and Password of the one administrator, and how long the token lives: defaults
	// "admin", "simulated-password", an hour.
	Username, Password string
	TokenLife          time.Duration
	// ClientID and ClientSecret of Adobe's identity service, for POST /ims/token/v3; defaults
	// "simulated-client", "simulated-client-secret". OmitExpiry leaves expires_in out.
	ClientID, ClientSecret string
	OmitExpiry             bool
	// Denied are resources that the integration was not granted, e.g.
	// "Magento_Sales::shipment".
	Denied []string
	// OldPaging: a page behind the end repeats the last one.
	OldPaging bool
	// InputLimits: pages of more than 300 are refused.
	InputLimits bool
	// PerSecond and Burst are the calls that the firewall in front of the shop lets through;
	// PerSecond 0 = all.
	PerSecond, Burst float64
	// Now is the shop's clock, default time.Now.
	Now func() time.Time
	// Seed of everything that is random.
	Seed uint64
	// Faults from the start; see SetFaults.
	Faults Faults
}

func (c Config) withDefaults() Config {
	for _, d := range []struct {
		v *string
		d string
	}{
		{&c.Name, "Simulated shop"}, {&c.Currency, "EUR"}, {&c.Source, "default"}, {&c.Zone, "Asia/Shanghai"},
		{&c.ConsumerKey, "simulated-key"}, {&c.ConsumerSecret, "simulated-secret"},
		{&c.AccessToken, "simulated-token"}, {&c.AccessTokenSecret, "simulated-token-secret"},
		{&c.Username, "admin"}, {&c.Password, "simulated-password"},
		{&c.ClientID, "simulated-client"}, {&c.ClientSecret, "simulated-client-secret"},
	} {
		if *d.v == "" {
			*d.v = d.d
		}
	}
	if c.TokenLife == 0 {
		c.TokenLife = time.Hour
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Faults is what goes wrong, as probabilities from 0 to 1. The choice which call is hit
// follows the seed.
type Faults struct {
	// Refuse: a stock write is answered with 200 and not done; prices with an error in 200.
	Refuse float64
	// Throttle: a call is answered 429, as a firewall in front of the shop does.
	Throttle float64
	// FailBefore: a call is answered 503 and does nothing. FailAfter: a write is carried out
	// and then answered 502.
	FailBefore, FailAfter float64
	// HTML: a call is answered 200 with a page for people.
	HTML float64
	// Outage: every call is answered 503 with the page of maintenance mode.
	Outage bool
}

// Stats is what happened so far.
type Stats struct {
	// Calls, and of them those refused by Throttle.
	Calls, Throttled int64
	// PushesAccepted counts source items that were written, PushesRefused those that were
	// answered 200 and not written. PricesAccepted counts prices.
	PushesAccepted, PushesRefused, PricesAccepted int64
	// Orphans counts source items that were written for SKUs that do not exist.
	Orphans int64
	// FailedAfter counts writes that were carried out and answered 502.
	FailedAfter int64
	// Logins counts tokens that were given.
	Logins int64
	// Shipments, Cancellations and Refunds that were made by the API.
	Shipments, Cancellations, Refunds int64
	// OnlineRefunds are those of them that moved money.
	OnlineRefunds int64
}
