package embedded

import "strings"

// The HTTP front has to know a few things about a statement before the engine
// sees it: whether it reads, whether it is an INSERT with data behind it, and
// where that data begins. That needs no parser, only a scanner that knows
// comments, quotes and brackets.

// statement is what the scanner found out.
type statement struct {
	keyword string // the first word, upper case: SELECT, INSERT, …
	format  string // the name behind FORMAT, if any
	values  bool   // an INSERT … VALUES
	selects bool   // an INSERT … SELECT
	head    string // an INSERT's text before FORMAT or VALUES
	data    int    // where an INSERT's data begins in the text; its length if none
	more    bool   // another statement follows a ';'
}

// reads reports whether the statement cannot change anything.
func (s statement) reads() bool {
	switch s.keyword {
	case "SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN":
		return true
	}
	return false
}

// changesSession reports whether the statement leaves something behind on its
// connection, which over HTTP must not outlive the request.
func (s statement) changesSession(sql string) bool {
	switch s.keyword {
	case "SET", "USE":
		return true
	case "CREATE", "REPLACE":
		return strings.Contains(strings.ToUpper(sql[:min(len(sql), 4096)]), "TEMPORARY")
	}
	return false
}

// scan looks over a statement. For an INSERT it stops where the data begins, so
// data is never mistaken for SQL.
func scan(sql string) statement {
	st := statement{data: len(sql)}
	depth, i, ended := 0, 0, false
	for i < len(sql) {
		c := sql[i]
		switch {
		case ended && !isSpace(c) && c != ';' && !startsComment(sql[i:]):
			st.more = true
			return st
		case c == '\'' || c == '"' || c == '`':
			i = skipQuoted(sql, i)
		case startsComment(sql[i:]):
			if c == '/' {
				i = skipTo(sql, i+2, "*/")
			} else {
				i = skipTo(sql, i, "\n")
			}
		case c == '(' || c == '[' || c == '{':
			depth++
			i++
		case c == ')' || c == ']' || c == '}':
			depth--
			i++
		case c == ';':
			ended = st.keyword != ""
			i++
		case isWord(c):
			start := i
			for i < len(sql) && isWord(sql[i]) {
				i++
			}
			if done := st.word(sql, start, i, depth); done {
				return st
			}
		default:
			i++
		}
	}
	return st
}

// word takes one word of the statement in; true ends the scan.
func (s *statement) word(sql string, start, end, depth int) bool {
	if s.keyword == "" {
		s.keyword = strings.ToUpper(sql[start:end])
		return false
	}
	if depth != 0 || end-start > len("FORMAT") {
		return false
	}
	switch w := strings.ToUpper(sql[start:end]); {
	case w == "FORMAT":
		name, after := formatName(sql, end)
		if name == "" {
			return false
		}
		s.format = name
		if s.keyword != "INSERT" || s.selects {
			return false
		}
		s.head, s.data = sql[:start], after
		return true
	case s.keyword != "INSERT":
		return false
	case w == "VALUES":
		s.values, s.format, s.head, s.data = true, "Values", sql[:start], end
		return true
	case w == "SELECT" || w == "WITH":
		s.selects = true
	}
	return false
}

// formatName reads the name behind FORMAT and skips to where data may begin: a
// line break or spaces behind the name belong to the statement.
func formatName(sql string, i int) (string, int) {
	for i < len(sql) && isSpace(sql[i]) {
		i++
	}
	start := i
	for i < len(sql) && isWord(sql[i]) {
		i++
	}
	name := sql[start:i]
	for i < len(sql) && (sql[i] == ' ' || sql[i] == '\t' || sql[i] == '\r') {
		i++
	}
	if i < len(sql) && (sql[i] == '\n' || sql[i] == ';') {
		i++
	}
	return name, i
}

func startsComment(s string) bool {
	return strings.HasPrefix(s, "--") || strings.HasPrefix(s, "/*") || strings.HasPrefix(s, "# ") || strings.HasPrefix(s, "#!")
}

func skipQuoted(sql string, i int) int {
	q := sql[i]
	for i++; i < len(sql); i++ {
		switch sql[i] {
		case '\\':
			i++
		case q:
			// A doubled quote begins a new string right away: the same effect.
			return i + 1
		}
	}
	return len(sql)
}

func skipTo(sql string, i int, end string) int {
	if i >= len(sql) {
		return len(sql)
	}
	if n := strings.Index(sql[i:], end); n >= 0 {
		return i + n + len(end)
	}
	return len(sql)
}

func isWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= 0x80
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// quote makes a ClickHouse string literal.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// identifier makes a quoted ClickHouse identifier.
func identifier(s string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(s) + "`"
}
