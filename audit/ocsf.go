package audit

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// ocsfVersion is the version of the Open Cybersecurity Schema Framework whose
// classes OCSF writes.
const ocsfVersion = "1.9.0"

// OCSF classes (schema.ocsf.io). A class number is category x 1000 + class.
const (
	ocsfEntityManagement = 3004
	ocsfHTTPActivity     = 4002
	ocsfAPIActivity      = 6003
)

// Activities, the same numbers in all three classes where they exist.
const (
	ocsfUnknown = 0
	ocsfCreate  = 1
	ocsfRead    = 2
	ocsfUpdate  = 3
	ocsfDelete  = 4
	ocsfOther   = 99
)

// ocsfEvent is one leaf in OCSF. The members that OCSF has no place for stand
// under unmapped, and raw_data has the leaf's bytes, from which the leaf hash can
// be computed again.
type ocsfEvent struct {
	Metadata ocsfMetadata `json:"metadata"`
	Category int          `json:"category_uid"`
	Class    int          `json:"class_uid"`
	Activity int          `json:"activity_id"`
	Type     int          `json:"type_uid"`
	Severity int          `json:"severity_id"`
	Status   int          `json:"status_id"`
	Code     string       `json:"status_code,omitempty"`
	Time     int64        `json:"time"`
	Message  string       `json:"message"`
	Actor    *ocsfActor   `json:"actor,omitempty"`
	API      *ocsfAPI     `json:"api,omitempty"`
	Source   *ocsfName    `json:"src_endpoint,omitempty"`
	Target   *ocsfName    `json:"dst_endpoint,omitempty"`
	Request  *ocsfRequest `json:"http_request,omitempty"`
	Response *ocsfCode    `json:"http_response,omitempty"`
	Entity   *ocsfName    `json:"entity,omitempty"`
	Unmapped ocsfUnmapped `json:"unmapped"`
	Raw      string       `json:"raw_data"`
}

type ocsfMetadata struct {
	Version     string      `json:"version"`
	Product     ocsfProduct `json:"product"`
	Log         string      `json:"log_name"`
	UID         string      `json:"uid"`
	Sequence    int64       `json:"sequence"`
	Correlation string      `json:"correlation_uid,omitempty"`
	Code        string      `json:"event_code"`
	Tenant      string      `json:"tenant_uid,omitempty"`
	// Provider and Original are set for what a vendor's own log tells: whose word it is,
	// and when the vendor says that it was.
	Provider string `json:"log_provider,omitempty"`
	Original string `json:"original_time,omitempty"`
}

type ocsfProduct struct {
	Name   string `json:"name"`
	Vendor string `json:"vendor_name"`
}

type ocsfActor struct {
	User ocsfUser `json:"user"`
}

type ocsfUser struct {
	UID    string      `json:"uid"`
	Groups []ocsfGroup `json:"groups,omitempty"`
}

type ocsfGroup struct {
	Name string `json:"name"`
}

type ocsfAPI struct {
	Operation string   `json:"operation"`
	Service   ocsfName `json:"service"`
	Response  ocsfCode `json:"response"`
}

type ocsfName struct {
	Name string `json:"name"`
}

type ocsfCode struct {
	Code int `json:"code"`
}

type ocsfRequest struct {
	Method string `json:"http_method"`
}

type ocsfUnmapped struct {
	LeafHash  string               `json:"leaf_hash"`
	Decision  string               `json:"decision,omitempty"`
	Outcome   string               `json:"outcome,omitempty"`
	Forwarded bool                 `json:"forwarded"`
	Route     string               `json:"route,omitempty"`
	Effect    string               `json:"effect,omitempty"`
	Scope     string               `json:"scope,omitempty"`
	Purpose   string               `json:"purpose,omitempty"`
	Identity  string               `json:"identity,omitempty"`
	MFA       bool                 `json:"mfa"`
	Policy    string               `json:"policy,omitempty"`
	Released  map[string]ocsfCount `json:"released,omitempty"`
	Subjects  int                  `json:"subjects"`
	Records   int                  `json:"records"`
}

type ocsfCount struct {
	Clear        int `json:"clear"`
	Masked       int `json:"masked"`
	Tokenized    int `json:"tokenized"`
	Dropped      int `json:"dropped"`
	NotInspected int `json:"not_inspected"`
}

// OCSF is the entry as one line of JSON in the class that its leaf names, without
// a newline. It is a function of the entry and its place alone.
func (e Entry) OCSF() ([]byte, error) {
	l := &e.Leaf
	class := l.Class
	if class != ocsfHTTPActivity && class != ocsfAPIActivity {
		class = ocsfEntityManagement // what the gateway does to itself
	}
	method := l.Attrs["method"]
	out := ocsfEvent{
		Metadata: ocsfMetadata{
			Version: ocsfVersion, Product: ocsfProduct{Name: "Caregate", Vendor: "Caregate"},
			Log: e.Origin, UID: l.ID.String(), Sequence: e.Index, Code: l.Type, Tenant: l.Tenant,
		},
		Category: class / 1000, Class: class, Activity: l.ocsfActivity(class, method),
		Severity: 1, Status: 1, Code: l.Reason, Time: l.Wall, Message: l.ocsfMessage(),
		Unmapped: ocsfUnmapped{
			LeafHash: hex.EncodeToString(e.Hash[:]), Decision: l.Decision, Outcome: l.Outcome, Forwarded: l.Forwarded,
			Route: l.Route, Effect: l.Effect, Scope: l.Scope, Purpose: l.Purpose, Identity: l.Identity, MFA: l.MFA, Policy: l.Policy,
			Subjects: len(l.Subjects), Records: len(l.Records),
		},
		Raw: string(e.Data),
	}
	out.Type = class*100 + out.Activity
	if !l.Exchange.IsZero() {
		out.Metadata.Correlation = l.Exchange.String()
	}
	if l.Decision == DecisionDeny {
		out.Severity, out.Status = 2, 2 // low; failure
	}
	if len(l.Released) > 0 {
		out.Unmapped.Released = map[string]ocsfCount{}
		for _, c := range l.Released {
			out.Unmapped.Released[c.Class] = ocsfCount{Clear: c.Clear, Masked: c.Masked, Tokenized: c.Tokenized, Dropped: c.Dropped, NotInspected: c.NotInspected}
		}
	}
	if l.Actor != (Pseudonym{}) || class == ocsfAPIActivity {
		user := ocsfUser{UID: "none"}
		if l.Actor != (Pseudonym{}) {
			user.UID = hex.EncodeToString(l.Actor[:])
		}
		for _, r := range l.Roles {
			user.Groups = append(user.Groups, ocsfGroup{r})
		}
		out.Actor = &ocsfActor{user}
	}
	switch class {
	case ocsfEntityManagement:
		out.Entity = &ocsfName{"audit log"}
		switch l.Type {
		case "config.loaded":
			out.Entity.Name = "configuration"
		case TypeVendorEvent, TypeVendorCovered, TypeVendorGap:
			out.Entity.Name = l.Channel
			out.Metadata.Provider, out.Metadata.Original = l.Channel, l.Attrs["vendor_time"]
			if l.Type == TypeVendorGap {
				out.Severity = 3 // medium
			}
		}
	default:
		// The address is sealed outside the tree; the class of its network is here.
		out.Source = &ocsfName{l.Network}
		if l.Network == "" {
			out.Source.Name = "not recorded"
		}
		if l.Channel != "" {
			out.Target = &ocsfName{l.Channel}
		}
		if class == ocsfAPIActivity {
			out.API = &ocsfAPI{Operation: l.Operation, Service: ocsfName{l.Channel}, Response: ocsfCode{l.Status}}
		}
		if method != "" {
			out.Request = &ocsfRequest{method}
		}
		if l.Status != 0 || method == "" {
			out.Response = &ocsfCode{l.Status}
		}
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil {
		return nil, fmt.Errorf("entry %d in OCSF: %w", e.Index, err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// ocsfActivity is the activity number of a leaf in its class.
func (l *Leaf) ocsfActivity(class int, method string) int {
	switch class {
	case ocsfEntityManagement:
		switch l.Type {
		case TypeGenesis, TypeShardOpened:
			return ocsfCreate
		case TypeIndexSealed, "config.loaded":
			return ocsfUpdate
		case TypeVendorEvent:
			switch l.Effect {
			case "read":
				return ocsfRead
			case "delete":
				return ocsfDelete
			case "write", "admin":
				return ocsfUpdate
			}
		}
		return ocsfOther
	case ocsfHTTPActivity:
		// The class counts the methods in the order of their names.
		for i, m := range [...]string{"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "TRACE", "PATCH"} {
			if m == method {
				return i + 1
			}
		}
		if method == "" {
			return ocsfUnknown
		}
		return ocsfOther
	}
	switch l.Effect {
	case "read":
		return ocsfRead
	case "delete":
		return ocsfDelete
	case "":
		return ocsfUnknown
	}
	switch method {
	case "POST":
		return ocsfCreate
	case "PUT", "PATCH":
		return ocsfUpdate
	case "DELETE":
		return ocsfDelete
	}
	return ocsfOther
}

// ocsfMessage says the leaf in a few words of closed lists.
func (l *Leaf) ocsfMessage() string {
	m := l.Type
	for _, s := range [...]string{l.Channel, l.Operation, l.Decision, l.Reason} {
		if s != "" {
			m += " " + s
		}
	}
	return m
}

// Entry is one entry of a log in its place.
type Entry struct {
	// Origin and Index are the log's name and the place in it.
	Origin string
	Index  int64
	// Hash is the RFC 6962 leaf hash of Data, which are the leaf's bytes.
	Hash [32]byte
	Data []byte
	Leaf Leaf
}

// newEntry parses the bytes of an entry.
func newEntry(origin string, idx int64, data []byte) (Entry, error) {
	l, err := ParseLeaf(data)
	if err != nil {
		return Entry{}, fmt.Errorf("entry %d: %w", idx, err)
	}
	return Entry{Origin: origin, Index: idx, Hash: tlog.RecordHash(data), Data: data, Leaf: l}, nil
}
