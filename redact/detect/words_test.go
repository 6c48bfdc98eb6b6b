package detect

import "testing"

// TestPhrasesHoldNoNumbers: vocabulary.phrase counts on it that no word of a phrase but
// its last ends in two digits.
func TestPhrasesHoldNoNumbers(t *testing.T) {
	t.Parallel()
	front := 0
	for _, w := range newDetector(t).vocab.words {
		if w.sense&senseFront == 0 {
			continue
		}
		front++
		if n := len(w.word); n > 1 && isDigit(w.word[n-1]) && isDigit(w.word[n-2]) {
			t.Errorf("a phrase has %q in it", w.word)
		}
	}
	if front < 100 {
		t.Errorf("%d words stand in phrases", front)
	}
}
