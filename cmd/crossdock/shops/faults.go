package shops

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"
)

// Every simulator has its own faults, in a struct of probabilities and switches. They are named
// here as their fields are, in lower case with dashes: FailAfter is fail-after.

// setFaults reads "duplicate=0.02,drop=0.01,outage" into a struct of faults.
func setFaults(faults any, text string) error {
	v := reflect.ValueOf(faults).Elem()
	for _, part := range strings.Split(text, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		name, value, given := strings.Cut(part, "=")
		f, found := field(v, name)
		if !found {
			return fmt.Errorf("--faults: there is no fault %q: choose from %s", name, strings.Join(faultNames(v), ", "))
		}
		switch f.Kind() {
		case reflect.Bool:
			on := !given
			if given {
				var err error
				if on, err = strconv.ParseBool(value); err != nil {
					return fmt.Errorf("--faults: %s=%s: want true or false", name, value)
				}
			}
			f.SetBool(on)
		default:
			p, err := strconv.ParseFloat(value, 64)
			if err != nil || p < 0 || p > 1 {
				return fmt.Errorf("--faults: %s=%s: want a probability from 0 to 1", name, value)
			}
			f.SetFloat(p)
		}
	}
	return nil
}

func field(v reflect.Value, name string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if f := v.Field(i); isFault(f) && dashed(v.Type().Field(i).Name) == name {
			return f, true
		}
	}
	return reflect.Value{}, false
}

// faultNames are the faults that a platform's simulator knows.
func faultNames(v reflect.Value) (names []string) {
	for i := range v.NumField() {
		if isFault(v.Field(i)) {
			names = append(names, dashed(v.Type().Field(i).Name))
		}
	}
	return names
}

func isFault(v reflect.Value) bool {
	return v.CanSet() && (v.Kind() == reflect.Float64 || v.Kind() == reflect.Bool)
}

// dashed writes FailAfter as fail-after, and HTML as html.
func dashed(name string) string {
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 && (unicode.IsLower(runes[i-1]) || (i+1 < len(runes) && unicode.IsLower(runes[i+1]))) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
