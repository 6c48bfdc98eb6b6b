package view

import (
	"strings"
	"testing"
)

// A view finds its way back to the raw bytes, over bytes that were left out and
// bytes that came from the same place.
func TestViewMapsBack(t *testing.T) {
	t.Parallel()
	raw := []byte("a&#52;1\u200b2")
	var v View
	v.Copy(raw, 0, 1, 0)
	v.Append('4', 1, 6)
	v.Append('1', 6, 7)
	v.Append('2', 10, 11)
	if got := string(v.Text()); got != "a412" || !v.Changed() || v.Len() != 4 {
		t.Fatalf("text %q, changed %v, length %d", got, v.Changed(), v.Len())
	}
	for name, c := range map[string]struct{ start, end, from, to int }{
		"an entity":           {1, 2, 1, 6},
		"over what is hidden": {2, 4, 6, 11},
		"all":                 {0, 4, 0, 11},
	} {
		if from, to := v.Raw(c.start, c.end); from != c.from || to != c.to {
			t.Errorf("%s: %d to %d, want %d to %d", name, from, to, c.from, c.to)
		}
	}
	for at, want := range map[int]int{0: 0, 1: 1, 2: 2, 6: 2, 7: 3, 10: 3, 11: 4} {
		if got := v.At(at); got != want {
			t.Errorf("At(%d) is %d, want %d", at, got, want)
		}
	}
	if !v.Plain(raw, 0, 1) || v.Plain(raw, 0, 2) || v.Plain(raw, 2, 4) {
		t.Error("Plain is wrong")
	}
	v.Reset()
	v.Copy(raw, 0, 3, 0)
	if v.Changed() {
		t.Error("a copy counts as changed")
	}
	v.AppendString("12", 3, 4)
	if from, to := v.Raw(4, 5); !v.Changed() || from != 3 || to != 4 {
		t.Errorf("a string of one place: %d to %d", from, to)
	}
}

// Plain64 says what the view says, when that can read it at all.
func TestPlain64(t *testing.T) {
	t.Parallel()
	line := strings.Repeat("Y2FyZCA0", 8)
	for _, text := range []string{
		"", "Y", "Y2", "Y2F", "Y2Fy", "Y2FyZ", "Y2FyZCA0MTEx", "NTM2MjI4MTQ1", "NTM2MjI4MTQ=", "NTM2MjI4MT==", "-_+/AAAA", line + "\n" + line, line + "\r\n" + line + "NTM=",
	} {
		var r Reader
		want := string(r.Base64([]byte(text), 0, 0, len(text)).Text())
		if got, ok := Plain64(nil, []byte(text)); !ok || string(got) != want {
			t.Errorf("%q: got %q, %t, want %q", text, got, ok, want)
		}
	}
	if _, ok := Plain64(nil, []byte("Y2Fy ZCA0")); ok {
		t.Error("a blank is taken for base64")
	}
}

// TestBase64Ends: the second end is what reading all of it says.
func TestBase64Ends(t *testing.T) {
	t.Parallel()
	text := []byte(strings.Repeat("Y2FyZCA0", 8) + "\n" + strings.Repeat("Y2FyZCA0", 9) + "\r\n" + strings.Repeat("MTEx", 17) + "==\nNTM")
	for limit := range len(text) + 2 {
		for _, more := range []int{0, 1, 2, 3, 70, 400} {
			end, ahead := Base64Ends(text, 0, limit, more)
			if want := Base64End(text, 0, limit); end != want {
				t.Fatalf("limit %d: the end is %d, want %d", limit, end, want)
			}
			if want := Base64End(text, 0, end+more); ahead != want {
				t.Fatalf("limit %d and %d more: the end is %d, want %d", limit, more, ahead, want)
			}
		}
	}
}
