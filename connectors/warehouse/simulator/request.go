package simulator

// Request are the members of entries that speak of a sales channel: that ask for something to be
// done there, or say that goods of its order came back. Those that its kind does not have stay
// empty.
type Request struct {
	Account     string `json:"account,omitempty"`
	Order       string `json:"order,omitempty"`
	Listing     string `json:"listing,omitempty"`
	Product     string `json:"product,omitempty"`
	Carrier     string `json:"carrier,omitempty"`
	CarrierName string `json:"carrier_name,omitempty"`
	Tracking    string `json:"tracking,omitempty"`
	TrackingURL string `json:"tracking_url,omitempty"`
	Payment     string `json:"payment,omitempty"`
	Notify      *bool  `json:"notify,omitempty"`
	// Restock is a bool of a cancellation and a word of a refund.
	Restock any `json:"restock,omitempty"`
	// Lines is All or a []Line.
	Lines any `json:"lines,omitempty"`
}

// All as Lines of a shipment is everything that is left of the order.
const All = "all"

// Line is units of one line of an order.
type Line struct {
	Line     string `json:"line"`
	Quantity int64  `json:"quantity"`
}
