package jsonread

// Times as strangers write them, without time.Parse.

// Instant reads RFC 3339 with an offset or Z into milliseconds since the epoch, UTC. A time
// without a zone is refused: guessing one moves orders by hours. Hand-written because it is
// called several times for each order and time.Parse costs ten times as much.
func Instant(s string) (ms int64, ok bool) {
	if len(s) < len("2006-01-02T15:04:05Z") || s[10]|0x20 != 't' {
		return 0, false
	}
	ms, zone, ok := civil(s)
	if !ok {
		return 0, false
	}
	if zone == "Z" || zone == "z" {
		return ms, true
	}
	if len(zone) != 6 || (zone[0] != '+' && zone[0] != '-') || zone[3] != ':' {
		return 0, false
	}
	h, fine := pair(zone, 1)
	m, fine2 := pair(zone, 4)
	if !fine || !fine2 || h > 23 || m > 59 {
		return 0, false
	}
	offset := (h*3600 + m*60) * 1000
	if zone[0] == '-' {
		offset = -offset
	}
	return ms - offset, true
}

// UTC reads a time that its source promises to be UTC and writes without a zone:
// "2006-01-02T15:04:05" or "2006-01-02 15:04:05", with or without a fraction.
func UTC(s string) (ms int64, ok bool) {
	if len(s) < len("2006-01-02T15:04:05") || (s[10]|0x20 != 't' && s[10] != ' ') {
		return 0, false
	}
	ms, rest, ok := civil(s)
	return ms, ok && rest == ""
}

// civil reads date and time, up to the fraction, as if they were UTC; rest is what follows.
func civil(s string) (ms int64, rest string, ok bool) {
	if s[4] != '-' || s[7] != '-' || s[13] != ':' || s[16] != ':' {
		return 0, "", false
	}
	bad := false
	two := func(i int) int64 {
		v, fine := pair(s, i)
		bad = bad || !fine
		return v
	}
	year, month, day := two(0)*100+two(2), two(5), two(8)
	hour, minute, second := two(11), two(14), two(17)
	if bad || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 59 {
		return 0, "", false
	}
	i := 19
	var fraction, weight int64 = 0, 100
	if i < len(s) && s[i] == '.' {
		start := i + 1
		for i++; i < len(s) && s[i]-'0' <= 9; i++ {
			fraction += int64(s[i]-'0') * weight
			weight /= 10
		}
		if i == start {
			return 0, "", false
		}
	}
	return (daysSinceEpoch(year, month, day)*86400+hour*3600+minute*60+second)*1000 + fraction, s[i:], true
}

// pair reads two digits.
func pair(s string, i int) (v int64, ok bool) {
	a, b := s[i]-'0', s[i+1]-'0'
	return int64(a)*10 + int64(b), a <= 9 && b <= 9
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

// Instant reads a time; null is 0.
func (r *Reader) Instant() int64 {
	text := r.Text()
	if text == "" || r.Err() != nil {
		return 0
	}
	ms, ok := Instant(text)
	if !ok {
		r.Fail("%q is not a time with a zone (RFC 3339)", Clip(text))
	}
	return ms
}
