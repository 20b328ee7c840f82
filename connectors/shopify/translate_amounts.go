package shopify

import (
	"fmt"
	"strings"

	"github.com/helloword/crossdock/connectors/jsonread"
	"github.com/helloword/crossdock/schemas/event"
	"github.com/helloword/crossdock/schemas/money"
)

// Taxes and discounts.

// taxLines reads tax lines into a list that is empty and may have room.
func (t *translation) taxLines(taxes []*event.Tax) []*event.Tax {
	r := t.r
	t.each(func() {
		var seen jsonread.Members
		if !r.Object() {
			return
		}
		x := t.taxes.take()
		var text string
		for key, ok := r.Next(); ok; key, ok = r.Next() {
			switch key {
			case "title":
				r.Once(&seen, 0)
				x.Title = t.str()
			case "rate":
				r.Once(&seen, 1)
				text := r.Number()
				ppm, err := t.rate(text)
				if err != nil {
					r.Fail("rate %q: %v", jsonread.Clip(text), err)
				}
				x.RatePpm = ppm
			case "price":
				r.Once(&seen, 2)
				text = r.Number()
			case "priceSet":
				r.Once(&seen, 2)
				text = r.bag().shop
			case "channel_liable", "channelLiable":
				r.Once(&seen, 3)
				x.RemittedByPlatform = r.Boolean()
			default:
				r.Skip()
			}
		}
		t.currencyOf()
		x.Amount = t.money(text)
		taxes = append(taxes, x)
	})
	if len(taxes) == 0 {
		return nil
	}
	return taxes
}

// rate is rate with a memory of one: most taxes have the rate of the tax before.
func (t *translation) rate(text string) (ppm int64, err error) {
	if text == t.rateText {
		return t.ratePpm, nil
	}
	if ppm, err = rate(text); err == nil && len(text) < maxRate {
		t.rateText, t.ratePpm = strings.Clone(text), ppm
	}
	return ppm, err
}

// maxRate is how long a rate is remembered.
const maxRate = 32

// rate turns a tax rate such as 0.08875 or 5.0e-05 into millionths, rounded once half-even.
func rate(text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	var power int64
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		var err error
		if power, err = ratePower(text[i+1:]); err != nil {
			return 0, err
		}
		text = text[:i]
	}
	var d event.Decimal
	if err := money.ParseDecimalInto(&d, text); err != nil {
		return 0, err
	}
	num, den := int64(1), int64(1)
	for shift := 6 + power - int64(d.Scale); shift != 0; {
		if shift > 0 {
			num *= 10
			shift--
		} else if den < 1e18 {
			den *= 10
			shift++
		} else {
			return 0, nil
		}
	}
	return money.MulDiv(d.Unscaled, num, den)
}

func ratePower(text string) (power int64, err error) {
	if _, err := fmt.Sscanf(text, "%d", &power); err != nil || power < -18 || power > 6 {
		return 0, fmt.Errorf("the exponent is out of range")
	}
	return power, nil
}

// application reads one discount as the order names it; its amount is added up from the
// allocations, because GraphQL tells no other.
func (t *translation) application() *event.Discount {
	r := t.r
	d := &event.Discount{}
	if !r.Object() {
		return d
	}
	var seen jsonread.Members
	var code, title string
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "type":
			r.Once(&seen, 0)
			d.Kind = t.str()
		case "__typename":
			r.Once(&seen, 0)
			switch name := r.Text(); name {
			case "DiscountCodeApplication":
				d.Kind = "discount_code"
			default: // AutomaticDiscountApplication is "automatic" in webhooks
				d.Kind = t.keep(strings.ToLower(strings.TrimSuffix(name, "DiscountApplication")))
			}
		case "code":
			r.Once(&seen, 1)
			code = r.Text()
		case "title":
			r.Once(&seen, 2)
			title = r.Text()
		default:
			r.Skip()
		}
	}
	if code == "" {
		code = title
	}
	d.Code = t.keep(code)
	return d
}

func (t *translation) discountCode() *event.Discount {
	r := t.r
	d := &event.Discount{Kind: "discount_code"}
	if !r.Object() {
		return d
	}
	var seen jsonread.Members
	for key, ok := r.Next(); ok; key, ok = r.Next() {
		switch key {
		case "code":
			r.Once(&seen, 0)
			d.Code = t.str()
		case "amount":
			r.Once(&seen, 1)
			d.Amount = t.money(r.Number())
		default:
			r.Skip()
		}
	}
	return d
}
