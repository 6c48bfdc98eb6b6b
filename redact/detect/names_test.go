package detect

import "testing"

func TestNames(t *testing.T) {
	t.Parallel()
	d, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]bool{"Card 1": true, "card_number2": true, "my VISA": true, "カード": true, "discard": false, "invoice": false, "": false, "123": false} {
		if got := d.NamesCard([]byte(text)); got != want {
			t.Errorf("%q names a card: %v, want %v", text, got, want)
		}
	}
	for key, want := range map[string]bool{"order_id": true, "OrderId": true, "card": false, "": false} {
		if got := NamesID(key); got != want {
			t.Errorf("%q is an identifier: %v, want %v", key, got, want)
		}
	}
}
