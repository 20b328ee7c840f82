package clickhouse

import (
	"strings"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// rows collects the rows of one table, column by column, in slices that are used again for
// the next batch. Every row adds exactly one value to each column.
type rows struct {
	table string
	cols  []col
	// wire is what WithColumnNamesAndTypes wants, by HTTP.
	wire   []ch.ColumnNameAndType
	insert string

	topic      *word
	partition  *ints32
	offset     *ints
	epoch, ver *ints
	n          int
}

// col is one column of a table.
type col interface {
	title() (name, typ string)
	reset()
	send(driver.BatchColumn) error
}

func newRows(table string) *rows { return &rows{table: table} }

// seal adds the coordinates and makes what an insert needs.
func (r *rows) seal() {
	r.topic, r.partition, r.offset = r.word("_topic"), r.int32("_partition"), r.int("_offset")
	r.epoch, r.ver = r.int("_version_epoch"), r.int("_version")
	names := make([]string, len(r.cols))
	for i, c := range r.cols {
		n, t := c.title()
		names[i] = ident(n)
		// By HTTP the client names the types. The server makes dictionaries faster than the
		// client does, so plain strings are sent to it.
		r.wire = append(r.wire, ch.ColumnNameAndType{Name: n, Type: strings.ReplaceAll(t, "LowCardinality(String)", "String")})
	}
	r.insert = "INSERT INTO " + ident(r.table) + " (" + strings.Join(names, ", ") + ")"
}

// at ends a row with its coordinates.
func (r *rows) at(c coordinates) {
	r.topic.add(c.topic)
	r.partition.add(c.partition)
	r.offset.add(c.offset)
	r.epoch.add(c.epoch)
	r.ver.add(c.version)
	r.n++
}

func (r *rows) reset() {
	r.n = 0
	for _, c := range r.cols {
		c.reset()
	}
}

// coordinates say which record a row came from, and how new its fact is.
type coordinates struct {
	topic          string
	partition      int32
	offset         int64
	epoch, version int64
}

// scalarCol is a column of plain values.
type scalarCol[T any] struct {
	name, typ string
	v         []T
}

func (c *scalarCol[T]) title() (string, string)          { return c.name, c.typ }
func (c *scalarCol[T]) reset()                           { clear(c.v); c.v = c.v[:0] }
func (c *scalarCol[T]) add(v T)                          { c.v = append(c.v, v) }
func (c *scalarCol[T]) send(to driver.BatchColumn) error { return to.Append(c.v) }

// arrayCol is a column of arrays: all elements in one slice, and where each row's end.
type arrayCol[T any] struct {
	name, typ string
	v         []T
	ends      []int
}

func (c *arrayCol[T]) title() (string, string) { return c.name, c.typ }
func (c *arrayCol[T]) reset()                  { clear(c.v); c.v, c.ends = c.v[:0], c.ends[:0] }

// add adds an element to the row under way, end ends the row.
func (c *arrayCol[T]) add(v T) { c.v = append(c.v, v) }
func (c *arrayCol[T]) end()    { c.ends = append(c.ends, len(c.v)) }
func (c *arrayCol[T]) send(to driver.BatchColumn) error {
	from := 0
	for _, end := range c.ends {
		if err := to.AppendRow(c.v[from:end:end]); err != nil {
			return err
		}
		from = end
	}
	return nil
}

// group are arrays of one row that have the same length.
type group []interface{ end() }

func (g group) end() {
	for _, c := range g {
		c.end()
	}
}

type (
	word    = scalarCol[string]
	ints    = scalarCol[int64]
	ints32  = scalarCol[int32]
	uints32 = scalarCol[uint32]
	flags   = scalarCol[bool]

	words   = arrayCol[string]
	numbers = arrayCol[int64]
	small   = arrayCol[int32]
	marks   = arrayCol[bool]
)

func scalarOf[T any](r *rows, name, typ string) *scalarCol[T] {
	c := &scalarCol[T]{name: name, typ: typ}
	r.cols = append(r.cols, c)
	return c
}

func arrayOf[T any](r *rows, name, typ string) *arrayCol[T] {
	c := &arrayCol[T]{name: name, typ: "Array(" + typ + ")"}
	r.cols = append(r.cols, c)
	return c
}

// word is text that repeats, text is text that does not.
func (r *rows) word(name string) *word { return scalarOf[string](r, name, "LowCardinality(String)") }
func (r *rows) text(name string) *word { return scalarOf[string](r, name, "String") }
func (r *rows) int(name string) *ints  { return scalarOf[int64](r, name, "Int64") }
func (r *rows) int32(name string) *ints32 {
	return scalarOf[int32](r, name, "Int32")
}
func (r *rows) uint32(name string) *uints32 { return scalarOf[uint32](r, name, "UInt32") }
func (r *rows) flag(name string) *flags     { return scalarOf[bool](r, name, "Bool") }

// time takes milliseconds UTC.
func (r *rows) time(name string) *ints { return scalarOf[int64](r, name, "DateTime64(3, 'UTC')") }

func (r *rows) words(name string) *words {
	return arrayOf[string](r, name, "LowCardinality(String)")
}
func (r *rows) texts(name string) *words  { return arrayOf[string](r, name, "String") }
func (r *rows) ints(name string) *numbers { return arrayOf[int64](r, name, "Int64") }
func (r *rows) ints32(name string) *small { return arrayOf[int32](r, name, "Int32") }
func (r *rows) flags(name string) *marks  { return arrayOf[bool](r, name, "Bool") }
