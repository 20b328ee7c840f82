package simulator

import "encoding/json"

// The documents are structs and not maps, because their members have an order.

type metaDoc struct {
	ID    int64  `json:"id"`
	Key   string `json:"key"`
	Value any    `json:"value"`
}

type addressDoc struct {
	FirstName string  `json:"first_name"`
	LastName  string  `json:"last_name"`
	Company   string  `json:"company"`
	Address1  string  `json:"address_1"`
	Address2  string  `json:"address_2"`
	City      string  `json:"city"`
	State     string  `json:"state"`
	Postcode  string  `json:"postcode"`
	Country   string  `json:"country"`
	Email     *string `json:"email,omitempty"`
	Phone     string  `json:"phone"`
}

type taxPartDoc struct {
	ID       int64  `json:"id"`
	Total    string `json:"total"`
	Subtotal string `json:"subtotal"`
}

type lineDoc struct {
	ID          int64           `json:"id"`
	Name        string          `json:"name"`
	ProductID   int64           `json:"product_id"`
	VariationID int64           `json:"variation_id"`
	Quantity    int64           `json:"quantity"`
	TaxClass    string          `json:"tax_class"`
	Subtotal    string          `json:"subtotal"`
	SubtotalTax string          `json:"subtotal_tax"`
	Total       string          `json:"total"`
	TotalTax    string          `json:"total_tax"`
	Taxes       []taxPartDoc    `json:"taxes"`
	Meta        []metaDoc       `json:"meta_data"`
	SKU         string          `json:"sku"`
	GTIN        string          `json:"global_unique_id"`
	Price       json.RawMessage `json:"price"`
	ParentName  *string         `json:"parent_name"`
}

type shipDoc struct {
	ID          int64        `json:"id"`
	MethodTitle string       `json:"method_title"`
	MethodID    string       `json:"method_id"`
	InstanceID  string       `json:"instance_id"`
	Total       string       `json:"total"`
	TotalTax    string       `json:"total_tax"`
	Taxes       []taxPartDoc `json:"taxes"`
	Meta        []metaDoc    `json:"meta_data"`
}

type feeDoc struct {
	ID        int64        `json:"id"`
	Name      string       `json:"name"`
	TaxClass  string       `json:"tax_class"`
	TaxStatus string       `json:"tax_status"`
	Total     string       `json:"total"`
	TotalTax  string       `json:"total_tax"`
	Taxes     []taxPartDoc `json:"taxes"`
	Meta      []metaDoc    `json:"meta_data"`
}

type taxDoc struct {
	ID          int64     `json:"id"`
	RateCode    string    `json:"rate_code"`
	RateID      int64     `json:"rate_id"`
	Label       string    `json:"label"`
	Compound    bool      `json:"compound"`
	TaxTotal    string    `json:"tax_total"`
	ShippingTax string    `json:"shipping_tax_total"`
	RatePercent float64   `json:"rate_percent"`
	Meta        []metaDoc `json:"meta_data"`
}

type couponDoc struct {
	ID           int64     `json:"id"`
	Code         string    `json:"code"`
	Discount     string    `json:"discount"`
	DiscountTax  string    `json:"discount_tax"`
	Meta         []metaDoc `json:"meta_data"`
	DiscountType string    `json:"discount_type"`
	FreeShipping bool      `json:"free_shipping"`
}

type orderRefundDoc struct {
	ID       int64  `json:"id"`
	Reason   string `json:"reason"`
	Total    string `json:"total"`
	TotalTax string `json:"total_tax"`
}

type orderDoc struct {
	ID               int64            `json:"id"`
	ParentID         int64            `json:"parent_id"`
	Status           string           `json:"status"`
	Currency         string           `json:"currency"`
	Version          string           `json:"version"`
	PricesIncludeTax bool             `json:"prices_include_tax"`
	DateCreated      string           `json:"date_created"`
	DateModified     string           `json:"date_modified"`
	DiscountTotal    string           `json:"discount_total"`
	DiscountTax      string           `json:"discount_tax"`
	ShippingTotal    string           `json:"shipping_total"`
	ShippingTax      string           `json:"shipping_tax"`
	CartTax          string           `json:"cart_tax"`
	Total            string           `json:"total"`
	TotalTax         string           `json:"total_tax"`
	CustomerID       int64            `json:"customer_id"`
	OrderKey         string           `json:"order_key"`
	Billing          addressDoc       `json:"billing"`
	Shipping         addressDoc       `json:"shipping"`
	PaymentMethod    string           `json:"payment_method"`
	PaymentTitle     string           `json:"payment_method_title"`
	TransactionID    string           `json:"transaction_id"`
	CreatedVia       string           `json:"created_via"`
	CustomerNote     string           `json:"customer_note"`
	DateCompleted    *string          `json:"date_completed"`
	DatePaid         *string          `json:"date_paid"`
	Number           string           `json:"number"`
	Meta             []metaDoc        `json:"meta_data"`
	Lines            []lineDoc        `json:"line_items"`
	TaxLines         []taxDoc         `json:"tax_lines"`
	ShippingLines    []shipDoc        `json:"shipping_lines"`
	FeeLines         []feeDoc         `json:"fee_lines"`
	CouponLines      []couponDoc      `json:"coupon_lines"`
	Refunds          []orderRefundDoc `json:"refunds"`
	PaymentURL       string           `json:"payment_url"`
	IsEditable       bool             `json:"is_editable"`
	NeedsPayment     bool             `json:"needs_payment"`
	CreatedGMT       string           `json:"date_created_gmt"`
	ModifiedGMT      string           `json:"date_modified_gmt"`
	CompletedGMT     *string          `json:"date_completed_gmt"`
	PaidGMT          *string          `json:"date_paid_gmt"`
	CurrencySymbol   string           `json:"currency_symbol"`
}
