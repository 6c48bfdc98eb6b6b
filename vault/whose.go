package vault

import "context"

// Whose is whom the value behind a token is about. Nobody is zero.
type Whose struct {
	// Owner is the person whose key it is under.
	Owner Subject
	// Named is the person whom the value names, as an e-mail address does, and Name the
	// NameDigest of that name. Named is nobody where no such person is known, Name is zero
	// where the value is no name.
	Named Subject
	Name  [16]byte
}

// Whose tells whom the value behind a token is about, for what has to be known of the person
// before anything else is done with the token. purpose is that of the NameDigest. The value
// does not leave this call, so nobody has to be asked (V8), and no person is made. The error
// is ErrToken for every token that is not to be turned back (V9).
func (v *Vault) Whose(ctx context.Context, text, purpose string) (Whose, error) {
	val, err := v.Reveal(ctx, text)
	if err != nil {
		return Whose{}, err
	}
	defer clear(val.Text)
	w := Whose{Owner: val.Subject}
	id := Ident{Kind: val.Kind, Value: string(val.Text)}
	w.Name, _ = v.NameDigest(purpose, id)
	w.Named, err = v.Known(ctx, id)
	return w, err
}
