package detect

import (
	"bytes"
	"testing"
)

func TestWithinOurs(t *testing.T) {
	t.Parallel()
	d, err := New(Config{Ours: func(dst [][2]int, text []byte) [][2]int {
		for from := 0; ; {
			i := bytes.Index(text[from:], []byte("<ours>"))
			if i < 0 {
				return dst
			}
			dst = append(dst, [2]int{from + i, from + i + 6})
			from += i + 6
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{
		"<ours>": true, " (<ours>), ": true, "<ours> <ours>": true,
		"": false, "...": false, "a <ours>": false, "<ours> 1": false, "<ours> é": false, "<ours><our>": false,
	} {
		if got := within([]byte(text), 0, len(text), d.Ours([]byte(text))); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
	if got := new(Detector).Ours([]byte("<ours>")); got != nil {
		t.Errorf("a detector that knows nothing of ours: got %v", got)
	}
	for text, want := range map[string]int{
		"password: <ours>":                            0,
		"password: Tr0ub4dor&3<ours>":                 1,
		"card <ours> 4111111111111111":                1,
		"password: <ours>, and card 4111111111111111": 1,
	} {
		if got := d.Text(nil, []byte(text), Hint{}); len(got) != want {
			t.Errorf("%q: got %d findings, want %d", text, len(got), want)
		}
	}
}
