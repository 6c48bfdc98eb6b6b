package main

import (
	"cmp"
	"errors"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

// bom is a software bill of materials, CycloneDX 1.6 in JSON. It is made from
// what the linker wrote into this binary, so it lists what is in it and not what
// some lock file says should be.
type bom struct {
	Schema     string         `json:"$schema"`
	Format     string         `json:"bomFormat"`
	Spec       string         `json:"specVersion"`
	Version    int            `json:"version"`
	Metadata   bomMetadata    `json:"metadata"`
	Components []bomComponent `json:"components"`
}

type bomMetadata struct {
	Component  bomComponent  `json:"component"`
	Properties []bomProperty `json:"properties,omitempty"`
}

type bomComponent struct {
	Type       string        `json:"type"`
	Ref        string        `json:"bom-ref"`
	Name       string        `json:"name"`
	Version    string        `json:"version"`
	PURL       string        `json:"purl"`
	Properties []bomProperty `json:"properties,omitempty"`
}

type bomProperty struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// newBOM describes this binary.
func newBOM() (*bom, error) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return nil, errors.New("this binary carries no build information")
	}
	main := component("application", info.Main.Path, caddy.CustomVersion)
	b := &bom{
		Schema: "http://cyclonedx.org/schema/bom-1.6.schema.json", Format: "CycloneDX", Spec: "1.6", Version: 1,
		Metadata: bomMetadata{Component: main},
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "GOOS", "GOARCH", "CGO_ENABLED", "vcs.revision", "vcs.time", "vcs.modified":
			b.Metadata.Properties = append(b.Metadata.Properties, bomProperty{"go:build:" + s.Key, s.Value})
		}
	}
	b.Components = append(b.Components, component("library", "std", strings.TrimPrefix(info.GoVersion, "go")))
	for _, m := range info.Deps {
		if m.Replace != nil {
			m = m.Replace
		}
		c := component("library", m.Path, m.Version)
		if m.Sum != "" {
			c.Properties = []bomProperty{{"go:sum", m.Sum}}
		}
		b.Components = append(b.Components, c)
	}
	slices.SortFunc(b.Components, func(x, y bomComponent) int { return cmp.Compare(x.Ref, y.Ref) })
	return b, nil
}

func component(kind, path, version string) bomComponent {
	purl := "pkg:golang/" + path + "@" + version
	return bomComponent{Type: kind, Ref: purl, Name: path, Version: version, PURL: purl}
}

// moduleVersion is the version of a module in this binary, "" when it is not in it.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return ""
}
