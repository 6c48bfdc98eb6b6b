package detect

import "testing"

// TestPasswordNameCase: the name of a password is known in capitals, too, in the scripts that
// have them.
func TestPasswordNameCase(t *testing.T) {
	t.Parallel()
	d := newDetector(t)
	for _, name := range []string{"пароль", "Пароль", "ПАРОЛЬ", "şifre", "Şifre", "CONTRASEÑA", "Hasło", "HASŁO", "JELSZÓ", "LÖSENORD"} {
		text := name + ": Hunter2x"
		got := d.Text(nil, []byte(text), Hint{})
		if len(got) != 1 || got[0].Start != len(name+": ") || got[0].End != len(text) {
			t.Errorf("%s: got %v, want the password behind it", name, got)
		}
	}
}
