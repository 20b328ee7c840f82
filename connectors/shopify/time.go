package shopify

import "time"

// instant reads RFC 3339 with an offset or Z into milliseconds since the epoch, UTC. A time
// without a zone is refused: guessing one moves orders by hours. Hand-written because it is
// called several times for each order and time.Parse costs ten times as much.
func instant(s string) (ms int64, ok bool) {
	if len(s) < len("2006-01-02T15:04:05Z") || s[4] != '-' || s[7] != '-' || s[10]|0x20 != 't' || s[13] != ':' || s[16] != ':' {
		return 0, false
	}
	bad := false
	two := func(i int) int64 {
		a, b := s[i]-'0', s[i+1]-'0'
		bad = bad || a > 9 || b > 9
		return int64(a)*10 + int64(b)
	}
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	if bad || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return 0, false
	}
	i := 19
	var fraction, weight int64 = 0, 100
	if s[i] == '.' {
		start := i + 1
		for i++; i < len(s) && s[i]-'0' <= 9; i++ {
			fraction += int64(s[i]-'0') * weight
			weight /= 10
		}
		if i == start {
			return 0, false
		}
	}
	var offset int64
	switch zone := s[i:]; {
	case zone == "Z" || zone == "z":
	case len(zone) == 6 && (zone[0] == '+' || zone[0] == '-') && zone[3] == ':':
		h, m := two(i+1), two(i+4)
		if bad || h > 23 || m > 59 {
			return 0, false
		}
		if offset = h*3600 + m*60; zone[0] == '-' {
			offset = -offset
		}
	default:
		return 0, false
	}
	seconds := daysSinceEpoch(year, month, day)*86400 + hour*3600 + minute*60 + second - offset
	return seconds*1000 + fraction, true
}

func daysIn(year, month int64) int64 {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}

// daysSinceEpoch counts days in the proleptic Gregorian calendar (Howard Hinnant,
// "chrono-Compatible Low-Level Date Algorithms", days_from_civil); years are 0 to 9999.
func daysSinceEpoch(year, month, day int64) int64 {
	if month <= 2 {
		year--
		month += 12
	}
	year += 400 // keeps everything positive
	era := year / 400
	ofEra := year - era*400
	ofYear := (153*(month-3)+2)/5 + day - 1
	return (era-1)*146097 + ofEra*365 + ofEra/4 - ofEra/100 + ofYear - 719468
}

// instant reads a time; null is 0.
func (r *reader) instant() int64 {
	text := r.str()
	if text == "" || r.err != nil {
		return 0
	}
	ms, ok := instant(text)
	if !ok {
		r.fail("%q is not a time with a zone (RFC 3339)", clip(text))
	}
	return ms
}

// stamp is a time as Shopify's search syntax wants it; it has no fractions.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
