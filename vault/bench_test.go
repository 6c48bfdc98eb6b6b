package vault_test

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/caregate/caregate/vault"
)

func BenchmarkSubjectsCached(b *testing.B) {
	v := open(b, b.TempDir())
	ids := []vault.Ident{{Kind: "email", Value: "ann@example.com"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Subjects(b.Context(), ids); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSubjectsNew(b *testing.B) {
	v := open(b, b.TempDir())
	var n atomic.Int64
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := v.Subjects(b.Context(), []vault.Ident{{Kind: "email", Value: fmt.Sprintf("%d@example.com", n.Add(1))}}); err != nil {
				b.Error(err)
				return
			}
		}
	})
}

func BenchmarkSeal300(b *testing.B) {
	v := open(b, b.TempDir())
	s := subject(b, v, "email", "ann@example.com")
	plain, ad := bytes.Repeat([]byte("x"), 300), vault.AD("acme/audit/2026h2", [16]byte{1}, "subject")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Seal(s, ad, plain); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkExchange is what one event costs here: find a known subject, name it,
// seal its details. The budget is 5 µs.
func BenchmarkExchange(b *testing.B) {
	v := open(b, b.TempDir())
	ids := []vault.Ident{{Kind: "email", Value: "ann@example.com"}}
	plain, ad := bytes.Repeat([]byte("x"), 300), vault.AD("acme/audit/2026h2", [16]byte{1}, "subject")
	b.ReportAllocs()
	for b.Loop() {
		s, err := v.Subjects(b.Context(), ids)
		if err != nil {
			b.Fatal(err)
		}
		_ = s[0].Pseudonym("acme/audit/2026h2")
		if _, err := v.Seal(s[0], ad, plain); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDigest(b *testing.B) {
	v := open(b, b.TempDir())
	secret := []byte("a bearer token of some forty characters.")
	b.ReportAllocs()
	for b.Loop() {
		v.Digest("vendor", secret)
	}
}

func BenchmarkRecord(b *testing.B) {
	v := open(b, b.TempDir())
	b.ReportAllocs()
	for b.Loop() {
		v.Record("zendesk:ticket", "35436")
	}
}
