package detect

import "testing"

// What goes back to the pool holds no digits.
func TestMemoryForgets(t *testing.T) {
	t.Parallel()
	var p memories
	m := p.get()
	text := []byte("4111 1111 1111 1111")
	m.near.groups.begin(text, 0, 4)
	if g := m.near.groups.at(text, 3); g == nil || g.value != 1111 {
		t.Fatal("the groups were not read")
	}
	p.put(m)
	if m.near.groups != (groupRow{}) {
		t.Error("digits of groups are still there")
	}
}
