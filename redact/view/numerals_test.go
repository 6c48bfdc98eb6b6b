package view

import "testing"

// A row of numerals counts from four on.
func TestNumerals(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"": 0, "一": 0, "一二三": 0, "一二三四": 12, "零〇九八七 一": 15, "一二三x四": 0, "号一二三四": 0, "五六七八\xe4\xb8": 12, "二〇二八年": 0, "一二三四五年": 15} {
		if got := Numerals([]byte(text)); got != want {
			t.Errorf("%q: got %d bytes, want %d", text, got, want)
		}
	}
}
