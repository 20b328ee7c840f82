package connectors

import (
	"reflect"
	"sort"
	"strings"
)

// Capabilities lists what a connector can do, read from the contract itself: every field
// that is not nil, in the order of the struct. Polls are listed by subject.
func (c *Connector) Capabilities() []string {
	var can []string
	v := reflect.ValueOf(*c)
	for i := range v.NumField() {
		f := v.Field(i)
		switch f.Kind() {
		case reflect.Interface:
			if !f.IsNil() {
				can = append(can, strings.ToLower(v.Type().Field(i).Name))
			}
		case reflect.Map:
			var subjects []string
			for _, k := range f.MapKeys() {
				subjects = append(subjects, "poll:"+k.String())
			}
			sort.Strings(subjects)
			can = append(can, subjects...)
		}
	}
	return can
}
