package simulator

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"golang.org/x/text/encoding/charmap"
)

// documentPath is where documents of reports are downloaded, without a token.
const documentPath = "/simulated-documents/"

type report struct {
	id, kind string
	created  int64
	// asked counts how often somebody looked: a report is made at the second look.
	asked    int
	status   string
	document []byte
}

// FailReports gives up every report that is being made.
func (s *Simulator) FailReports() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.reports {
		if r.status != "DONE" {
			r.status = "FATAL"
		}
	}
}

func (s *Simulator) createReport(body []byte) reply {
	var spec struct {
		Kind    string   `json:"reportType"`
		Markets []string `json:"marketplaceIds"`
	}
	if err := json.Unmarshal(body, &spec); err != nil || len(spec.Markets) == 0 || spec.Kind != "GET_MERCHANT_LISTINGS_ALL_DATA" {
		return refusal(http.StatusBadRequest, "InvalidInput", "reportType or marketplaceIds is not valid")
	}
	r := &report{id: fmt.Sprintf("%d", 50_000_000_000+len(s.reports)), kind: spec.Kind, created: s.now(), status: "IN_QUEUE"}
	s.reports[r.id] = r
	return reply{code: http.StatusAccepted, body: object{"reportId": r.id}}
}

func (s *Simulator) getReport(id string) reply {
	r := s.reports[id]
	if r == nil {
		return refusal(http.StatusNotFound, "NotFound", "The report does not exist.")
	}
	out := object{
		"reportId": r.id, "reportType": r.kind, "createdTime": stamp(r.created), "processingStatus": r.status,
		"marketplaceIds": []string{s.cfg.Marketplace}, "processingStartTime": stamp(r.created),
	}
	switch r.asked++; {
	case r.status == "FATAL":
	case r.asked == 1:
		r.status = "IN_PROGRESS"
		out["processingStatus"] = r.status
	case r.document == nil:
		r.status, r.document = "DONE", s.table()
		out["processingStatus"] = r.status
	}
	if r.status == "DONE" {
		out["reportDocumentId"], out["processingEndTime"] = "document-"+r.id, stamp(s.now())
	}
	return reply{code: http.StatusOK, body: out}
}

func (s *Simulator) getDocument(id, host string) reply {
	r := s.reports[strings.TrimPrefix(id, "document-")]
	if r == nil || r.document == nil {
		return refusal(http.StatusNotFound, "NotFound", "The document does not exist.")
	}
	return s.documentAt("reportDocumentId", id, "http://"+host+documentPath+r.id)
}

// documentAt says where a document lies; member is what its id is called.
func (s *Simulator) documentAt(member, id, url string) reply {
	out := object{member: id, "url": url}
	if !s.cfg.ReportPlain {
		out["compressionAlgorithm"] = "GZIP"
	}
	return reply{code: http.StatusOK, body: out}
}

// table is the report of all listings.
func (s *Simulator) table() []byte {
	var b strings.Builder
	b.WriteString("item-name\titem-description\tlisting-id\tseller-sku\tprice\tquantity\topen-date\tproduct-id-type\tasin1\tproduct-id\tfulfilment-channel\tstatus\r\n")
	for _, l := range s.inStock {
		if s.live(l.sku) == nil {
			continue
		}
		quantity, channel, kind, code := fmt.Sprint(l.quantity), "DEFAULT", "1", l.asin
		if l.fba {
			quantity, channel = "", "AMAZON_EU"
		}
		if l.ean != "" {
			kind, code = "4", l.ean
		}
		fmt.Fprintf(&b, "%s\t\t0101A\t%s\t%s\t%s\t01/11/2026 09:00:00 GMT\t%s\t%s\t%s\t%s\tActive\r\n", l.title, l.sku, l.price, quantity, kind, l.asin, code, channel)
	}
	text := []byte(b.String())
	if s.cfg.ReportLatin1 {
		latin, err := charmap.ISO8859_1.NewEncoder().Bytes(text)
		if err == nil {
			text = latin
		}
	}
	if s.cfg.ReportPlain {
		return text
	}
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(text)
	_ = w.Close()
	return z.Bytes()
}

func (s *Simulator) serveDocument(rw http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	found := s.reports[strings.TrimPrefix(r.URL.Path, documentPath)]
	var document []byte
	if found != nil {
		document = found.document
	}
	latin := s.cfg.ReportLatin1
	s.mu.Unlock()
	if document == nil || r.Header.Get("X-Amz-Access-Token") != "" {
		// A token has no business here: the address itself is the permission.
		http.Error(rw, "AccessDenied", http.StatusForbidden)
		return
	}
	kind := "text/tab-separated-values; charset=UTF-8"
	if latin {
		kind = "text/tab-separated-values; charset=ISO-8859-1"
	}
	rw.Header().Set("Content-Type", kind)
	_, _ = io.Copy(rw, bytes.NewReader(document))
}
