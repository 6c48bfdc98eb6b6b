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

// BenchmarkTokenizeNew is one new value in each call, many calls at once.
func BenchmarkTokenizeNew(b *testing.B) {
	v := open(b, b.TempDir())
	var n atomic.Int64
	b.SetParallelism(128)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			is, err := v.Tokenize(b.Context(), "", 0, []vault.Value{{Kind: "payment_reference", Text: fmt.Appendf(nil, "ch_%d", n.Add(1))}})
			if err == nil {
				err = is.Keep(b.Context())
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
}

// BenchmarkTokenizeBatch is 32 new values in each call, as a page of records has them.
func BenchmarkTokenizeBatch(b *testing.B) {
	v := open(b, b.TempDir())
	const size = 32
	var n atomic.Int64
	b.SetParallelism(8)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			values := make([]vault.Value, size)
			for i := range values {
				values[i] = vault.Value{Kind: "payment_reference", Text: fmt.Appendf(nil, "ch_%d", n.Add(1))}
			}
			is, err := v.Tokenize(b.Context(), "", 0, values)
			if err == nil {
				err = is.Keep(b.Context())
			}
			if err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N*size)/b.Elapsed().Seconds(), "values/s")
}

func BenchmarkTokenizeKnown(b *testing.B) {
	v := open(b, b.TempDir())
	values := []vault.Value{{Kind: "payment_reference", Text: []byte("ch_1")}}
	tokenOf(b, v, "", values[0])
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Tokenize(b.Context(), "", 0, values); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReveal(b *testing.B) {
	v := open(b, b.TempDir())
	token := tokenOf(b, v, "", vault.Value{Kind: "payment_reference", Text: []byte("ch_1")})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Reveal(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
}
