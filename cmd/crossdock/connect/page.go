package connect

import (
	"bytes"
	"html/template"
	"net/http"
	"strings"

	"github.com/helloword/crossdock/connectors"
)

// page is what a browser is shown. It has no script and loads nothing, and all that it shows is
// escaped: details of a check are a platform's words.
type page struct {
	Code int
	Text string
	// Results of the check, where there was one.
	Results []connectors.CheckResult
}

var layout = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>crossdock</title></head>
<body>
<p>{{.Text}}</p>
{{- with .Results}}
<table>
{{- range .}}
<tr><th>{{if .OK}}ok{{else}}missing{{end}}</th><td>{{.Subject}}</td><td>{{.Detail}}{{with .Advice}}; {{.}}{{end}}</td></tr>
{{- end}}
</table>
{{- end}}
</body>
</html>
`))

// write sends the page. Only pages of the frames' origins may show it in theirs.
func (p page) write(w http.ResponseWriter, frames []string) {
	ancestors := "'none'"
	if len(frames) > 0 {
		ancestors = strings.Join(frames, " ")
	}
	var b bytes.Buffer
	if err := layout.Execute(&b, p); err != nil {
		http.Error(w, "the page cannot be shown", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors "+ancestors)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	// The code stands in this page's address.
	h.Set("Referrer-Policy", "no-referrer")
	w.WriteHeader(p.Code)
	_, _ = w.Write(b.Bytes())
}
