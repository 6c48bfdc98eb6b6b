package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/caregate/caregate/vault"
)

// chargeForm is what the references of these tests look like.
var chargeForm = regexp.MustCompile(`(ch|pi)_[a-z0-9]+`)

// pay is a payment of 100.00 for an order.
func pay() vault.Payment {
	return vault.Payment{Place: "stripe/pay", Account: "acct_1", Order: "order 7", Currency: "EUR", Amount: 10_000}
}

// charged is the token of a charge that a processor has told of.
func charged(t testing.TB, v *vault.Vault, ref string, p vault.Payment) string {
	t.Helper()
	token := tokenOf(t, v, "", val(vault.KindPayment, ref))
	must(t, v.Learn(t.Context(), []vault.Learned{{Tokens: []string{token}, Payment: p}}))
	return token
}

// refund is a spend of the payment that pay describes.
func refund(token string, amount int64, key string) vault.Spend {
	return vault.Spend{Token: token, Form: chargeForm, Place: "stripe/pay", Account: "acct_1", Order: "order 7", Currency: "EUR",
		Moves: true, Amount: amount, Operation: "refund.create", Key: key}
}

// good is how a spend stands that nothing speaks against.
func good() vault.Standing {
	return vault.Standing{Token: vault.StandsKnown, Payment: vault.StandsKnown, Place: vault.StandsSame, Account: vault.StandsSame,
		Order: vault.StandsSame, Currency: vault.StandsSame, Balance: vault.StandsWithin, Key: vault.StandsNew}
}

func stands(t testing.TB, v *vault.Vault, s vault.Spend) vault.Standing {
	t.Helper()
	st, err := v.Stand(t.Context(), &s)
	must(t, err)
	return st
}

// reserve makes a spend that nothing speaks against.
func reserve(t testing.TB, v *vault.Vault, s vault.Spend) *vault.Reservation {
	t.Helper()
	r, st, err := v.Reserve(t.Context(), &s, stands(t, v, s))
	if err != nil {
		t.Fatalf("got %v, standing %+v", err, st)
	}
	return r
}

func TestSpendStands(t *testing.T) {
	t.Parallel()
	v := open(t, t.TempDir())
	token := charged(t, v, "ch_1", pay())
	for name, c := range map[string]struct {
		spend func(s *vault.Spend)
		want  func(st *vault.Standing)
	}{
		"nothing speaks against it": {func(*vault.Spend) {}, func(*vault.Standing) {}},
		"all that is left":          {func(s *vault.Spend) { s.Amount = 0 }, func(*vault.Standing) {}},
		"all of it":                 {func(s *vault.Spend) { s.Amount = 10_000 }, func(*vault.Standing) {}},
		"a cent too much":           {func(s *vault.Spend) { s.Amount = 10_001 }, func(st *vault.Standing) { st.Balance = vault.StandsOver }},
		"another route":             {func(s *vault.Spend) { s.Place = "stripe/other" }, func(st *vault.Standing) { st.Place = vault.StandsOther }},
		"another account":           {func(s *vault.Spend) { s.Account = "acct_2" }, func(st *vault.Standing) { st.Account = vault.StandsOther }},
		"no account":                {func(s *vault.Spend) { s.Account = "" }, func(st *vault.Standing) { st.Account = vault.StandsOther }},
		"another order":             {func(s *vault.Spend) { s.Order = "order 8" }, func(st *vault.Standing) { st.Order = vault.StandsOther }},
		"no order":                  {func(s *vault.Spend) { s.Order = "" }, func(st *vault.Standing) { st.Order = vault.StandsUnstated }},
		"another currency":          {func(s *vault.Spend) { s.Currency = "USD" }, func(st *vault.Standing) { st.Currency = vault.StandsOther }},
		"no currency":               {func(s *vault.Spend) { s.Currency = "" }, func(st *vault.Standing) { st.Currency = vault.StandsUnstated }},
		"no key":                    {func(s *vault.Spend) { s.Key = "" }, func(st *vault.Standing) { st.Key = vault.StandsMissing }},
		"it only reads": {func(s *vault.Spend) { s.Moves = false }, func(st *vault.Standing) {
			st.Balance, st.Key = vault.StandsNothing, vault.StandsNothing
		}},
	} {
		s, want := refund(token, 2_500, "key"), good()
		c.spend(&s)
		c.want(&want)
		if got := stands(t, v, s); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	// What no processor has told of.
	untold := tokenOf(t, v, "", val(vault.KindPayment, "ch_2"))
	want := vault.Standing{Token: vault.StandsKnown, Payment: vault.StandsUnknown, Place: vault.StandsUnknown, Account: vault.StandsUnknown,
		Order: vault.StandsUnknown, Currency: vault.StandsUnknown, Balance: vault.StandsUnknown, Key: vault.StandsUnknown}
	if got := stands(t, v, refund(untold, 1, "key")); got != want {
		t.Errorf("untold: got %+v, want %+v", got, want)
	}
	s := refund(untold, 1, "key")
	if _, _, err := v.Reserve(t.Context(), &s, want); !errors.Is(err, vault.ErrStands) {
		t.Errorf("reserving of what is not known: got %v, want ErrStands", err)
	}
}

// V9: every token that may not be spent stands alike, whatever is wrong with it.
func TestTokensThatAreNotSpent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	now := time.Now()
	later := opened(t, dir, vault.Config{Now: func() time.Time { return now.Add(48 * time.Hour) }})
	must(t, vault.Create(t.Context(), dir, vault.Config{Tenant: "second"}))
	second := opened(t, dir, vault.Config{Tenant: "second"})
	token := charged(t, v, "ch_1", pay())
	short, err := v.Tokenize(t.Context(), "", time.Hour, []vault.Value{val(vault.KindPayment, "ch_short")})
	must(t, err)
	must(t, short.Keep(t.Context()))
	must(t, v.Learn(t.Context(), []vault.Learned{{Tokens: []string{short.Tokens[0].Text}, Payment: pay()}}))
	foreign := charged(t, second, "ch_1", pay())
	want := vault.Standing{Token: vault.StandsUnknown, Payment: vault.StandsUnknown, Place: vault.StandsUnknown, Account: vault.StandsUnknown,
		Order: vault.StandsUnknown, Currency: vault.StandsUnknown, Balance: vault.StandsUnknown, Key: vault.StandsUnknown}
	for name, text := range map[string]string{
		"empty":                     "",
		"the reference itself":      "ch_1",
		"upper case":                strings.ToUpper(token),
		"truncated":                 token[:len(token)-1],
		"lengthened":                token + "0",
		"in quotation marks":        `"` + token + `"`,
		"with a blank":              token + " ",
		"wrapped":                   token[:10] + "\n" + token[10:],
		"twice":                     token + " " + token,
		"forged":                    vault.FormOf([16]byte{1, 2, 3}, 77),
		"well-formed and not known": vault.WriteToken(v, [16]byte{1, 2, 3, 4}),
		"another tenant's":          foreign,
		"a person's number":         tokenOf(t, v, "", val("us_ssn", "078051120")),
		"another processor's form":  tokenOf(t, v, "", val(vault.KindPayment, "8AC66199C1234567X")),
		"a form inside of more":     tokenOf(t, v, "", val(vault.KindPayment, "DE ch_1")),
	} {
		if got := stands(t, v, refund(text, 1, "key")); got != want {
			t.Errorf("%s: got %+v, want %+v", name, got, want)
		}
	}
	if got := stands(t, later, refund(short.Tokens[0].Text, 1, "key")); got != want {
		t.Errorf("expired: got %+v, want %+v", got, want)
	}
	if got := stands(t, v, refund(short.Tokens[0].Text, 1, "key")); got != good() {
		t.Errorf("before it expires: got %+v", got)
	}
}

// What is held, settled or unknown counts; what was released does not.
func TestBalance(t *testing.T) {
	t.Parallel()
	v := open(t, t.TempDir())
	ctx := t.Context()
	token := charged(t, v, "ch_1", pay())
	balance := func(amount int64) string { return stands(t, v, refund(token, amount, "probe")).Balance }
	first := reserve(t, v, refund(token, 6_000, "one"))
	if balance(4_000) != vault.StandsWithin || balance(4_001) != vault.StandsOver {
		t.Error("what is held does not count")
	}
	must(t, first.Release(ctx))
	if balance(10_000) != vault.StandsWithin {
		t.Error("what was released counts")
	}
	must(t, first.Unknown(ctx)) // too late: it has ended
	if balance(10_000) != vault.StandsWithin {
		t.Error("an ended reservation was brought back")
	}
	second := reserve(t, v, refund(token, 6_000, "two"))
	must(t, second.Unknown(ctx))
	if balance(4_000) != vault.StandsWithin || balance(4_001) != vault.StandsOver {
		t.Error("what nobody knows does not count")
	}
	rest := reserve(t, v, refund(token, 0, "three"))
	must(t, rest.Settle(ctx))
	if balance(1) != vault.StandsOver || balance(0) != vault.StandsOver {
		t.Error("something is left of nothing")
	}
	// Another reference of the same payment has the same balance.
	intent := tokenOf(t, v, "", val(vault.KindPayment, "pi_1"))
	must(t, v.Learn(ctx, []vault.Learned{{Tokens: []string{token, intent}, Payment: pay()}}))
	if got := stands(t, v, refund(intent, 1, "four")).Balance; got != vault.StandsOver {
		t.Errorf("by its other reference: got %s, want %s", got, vault.StandsOver)
	}
}

func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := &clock{at: time.Now()}
	place(t, dir)
	must(t, vault.Create(t.Context(), dir, vault.Config{}))
	v := opened(t, dir, vault.Config{Now: at.now})
	ctx := t.Context()
	token, other := charged(t, v, "ch_1", pay()), charged(t, v, "ch_2", pay())
	key := func(s vault.Spend) string { return stands(t, v, s).Key }
	same := refund(token, 1_000, "k")
	r := reserve(t, v, same)
	if key(same) != vault.StandsUsed {
		t.Error("a call that is under way can be made again")
	}
	must(t, r.Unknown(ctx))
	for name, s := range map[string]vault.Spend{"another amount": refund(token, 1_001, "k"), "another payment": refund(other, 1_000, "k"), "all": refund(token, 0, "k")} {
		if key(s) != vault.StandsUsed {
			t.Errorf("%s: the key can be used again", name)
		}
	}
	elsewhere := same
	elsewhere.Operation = "reversal.create"
	if key(elsewhere) != vault.StandsUsed {
		t.Error("another operation: the key can be used again")
	}
	if key(same) != vault.StandsAgain {
		t.Error("an unknown outcome cannot be asked for again")
	}
	again := reserve(t, v, same) // which takes nothing more
	if stands(t, v, refund(token, 9_000, "x")).Balance != vault.StandsWithin || stands(t, v, refund(token, 9_001, "x")).Balance != vault.StandsOver {
		t.Error("a repetition counts twice")
	}
	must(t, r.Release(ctx)) // an older attempt knows nothing
	if key(same) != vault.StandsUsed {
		t.Error("an older attempt ended the newer one")
	}
	must(t, again.Release(ctx)) // a no to the repetition is none to the first
	if key(same) != vault.StandsAgain || stands(t, v, refund(token, 9_001, "x")).Balance != vault.StandsOver {
		t.Error("what the first attempt may have done was given back")
	}
	must(t, r.Settle(ctx)) // but what it did is done
	if key(same) != vault.StandsUsed {
		t.Error("a settled call can be made again")
	}

	// A process that died left its call under way.
	stale := refund(token, 500, "stale")
	reserve(t, v, stale)
	at.pass(11 * time.Minute)
	if key(stale) != vault.StandsAgain {
		t.Error("a call of a dead process cannot be made again")
	}
	at.pass(21 * time.Hour)
	if key(stale) != vault.StandsUsed {
		t.Error("the processor may have forgotten the key")
	}
	if stands(t, v, refund(token, 8_501, "x")).Balance != vault.StandsOver {
		t.Error("what nobody knows was given back")
	}
	released := refund(other, 700, "released")
	must(t, reserve(t, v, released).Release(ctx))
	if key(released) != vault.StandsNew {
		t.Error("a call that did nothing cannot be made again")
	}
}

// The newest words about amounts count, the first about everything else.
func TestPaymentIsLearned(t *testing.T) {
	t.Parallel()
	v := open(t, t.TempDir())
	ctx := t.Context()
	p := pay()
	p.Order = ""
	token := charged(t, v, "ch_1", p)
	say := func(change func(*vault.Payment)) {
		t.Helper()
		p := pay()
		change(&p)
		must(t, v.Learn(ctx, []vault.Learned{{Tokens: []string{token}, Payment: p}}))
	}
	if stands(t, v, refund(token, 1, "k")).Order != vault.StandsUnstated {
		t.Error("an order that nobody named is compared")
	}
	say(func(*vault.Payment) {})
	if stands(t, v, refund(token, 1, "k")) != good() {
		t.Error("the order was not learned")
	}
	say(func(p *vault.Payment) { p.Order = "order 8" })
	say(func(p *vault.Payment) { p.Account, p.Amount = "acct_2", 1 })
	say(func(p *vault.Payment) { p.Place, p.Amount = "stripe/other", 1 })
	say(func(p *vault.Payment) { p.Currency, p.Amount = "JPY", 1 })
	if stands(t, v, refund(token, 10_000, "k")) != good() {
		t.Error("what a token is bound to was changed")
	}
	say(func(p *vault.Payment) { p.Refunded = 9_000 })
	if stands(t, v, refund(token, 1_001, "k")).Balance != vault.StandsOver || stands(t, v, refund(token, 1_000, "k")).Balance != vault.StandsWithin {
		t.Error("what others gave back does not count")
	}
	// What went back through us is in what the processor says, and counts once.
	must(t, reserve(t, v, refund(token, 500, "k")).Settle(ctx))
	say(func(p *vault.Payment) { p.Refunded = 9_500 })
	if stands(t, v, refund(token, 500, "l")).Balance != vault.StandsWithin || stands(t, v, refund(token, 501, "l")).Balance != vault.StandsOver {
		t.Error("one refund counts twice, or not at all")
	}
	// A processor that was asked before says nothing about what went back since.
	asked := time.Now()
	must(t, reserve(t, v, refund(token, 300, "m")).Settle(ctx))
	must(t, v.Learn(ctx, []vault.Learned{{Tokens: []string{token}, Asked: asked.Add(-time.Second), Payment: vault.Payment{
		Place: "stripe/pay", Account: "acct_1", Currency: "EUR", Amount: 10_000, Refunded: 9_500}}}))
	if stands(t, v, refund(token, 1, "n")).Balance != vault.StandsOver {
		t.Error("an old answer hides what others gave back")
	}
	say(func(p *vault.Payment) { p.Refunded = 9_800 })
	if stands(t, v, refund(token, 200, "n")).Balance != vault.StandsWithin || stands(t, v, refund(token, 201, "n")).Balance != vault.StandsOver {
		t.Error("a new answer does not mend it")
	}
	// What is under way hides nothing either: it may come to nothing.
	held := reserve(t, v, refund(token, 100, "o"))
	say(func(p *vault.Payment) { p.Refunded = 9_900 })
	must(t, held.Release(ctx))
	if stands(t, v, refund(token, 101, "p")).Balance != vault.StandsOver || stands(t, v, refund(token, 100, "p")).Balance != vault.StandsWithin {
		t.Error("a call that came to nothing hides what others gave back")
	}
	for name, p := range map[string]vault.Payment{"no currency": {Amount: 1}, "less than nothing": {Currency: "EUR", Amount: -1}} {
		if err := v.Learn(ctx, []vault.Learned{{Tokens: []string{token}, Payment: p}}); err == nil {
			t.Errorf("%s was learned", name)
		}
	}
	if err := v.Learn(ctx, []vault.Learned{{Tokens: []string{"ch_1"}, Payment: pay()}}); !errors.Is(err, vault.ErrToken) {
		t.Errorf("no token: got %v, want ErrToken", err)
	}
}

// Many spenders in two vaults on one database: never more than there is.
func TestSpendersRace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	vaults := []*vault.Vault{open(t, dir), open(t, dir)}
	token := charged(t, vaults[0], "ch_1", pay())
	var spent, doubled atomic.Int64
	var wg sync.WaitGroup
	for w := range 24 {
		wg.Go(func() {
			v, s := vaults[w%2], refund(token, 900, fmt.Sprint("key", w))
			for { // whoever comes too late by a moment looks again
				st, err := v.Stand(context.Background(), &s)
				if err != nil {
					t.Error(err)
					return
				}
				if st.Balance != vault.StandsWithin {
					return
				}
				_, _, err = v.Reserve(context.Background(), &s, st)
				if err == nil {
					spent.Add(s.Amount)
					return
				}
				if !errors.Is(err, vault.ErrStands) {
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() { // all of these are one call
			v, s := vaults[w%2], refund(token, 100, "one")
			if st, err := v.Stand(context.Background(), &s); err != nil {
				t.Error(err)
			} else if _, _, err := v.Reserve(context.Background(), &s, st); err == nil {
				doubled.Add(1)
			} else if !errors.Is(err, vault.ErrStands) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := spent.Load() + 100*doubled.Load(); got > 10_000 || doubled.Load() > 1 {
		t.Errorf("%d was spent of 10000, one call was made %d times", got, doubled.Load())
	}
	if spent.Load() < 9_000 {
		t.Errorf("only %d was spent", spent.Load())
	}
}

// V15: no column of a row can be changed without being noticed.
func TestChangedPaymentRows(t *testing.T) {
	t.Parallel()
	for name, sql := range map[string]string{
		"the amount":                  `UPDATE payment SET amount = amount + 1`,
		"what went back elsewhere":    `UPDATE payment SET elsewhere = elsewhere - 1`,
		"the account":                 `UPDATE payment SET account = x'00'`,
		"the route":                   `UPDATE payment SET place = ord`,
		"the order":                   `UPDATE payment SET ord = x''`,
		"the currency":                `UPDATE payment SET currency = 'JPY'`,
		"the tenant":                  `UPDATE payment SET tenant = 'second'`,
		"a token for another payment": `UPDATE payment_token SET payment = (SELECT max(payment) FROM payment_token) WHERE payment = (SELECT min(payment) FROM payment_token)`,
		"what was spent":              `UPDATE payment_spend SET amount = 0`,
		"that it was spent":           `UPDATE payment_spend SET state = 'released'`,
		"when it was spent":           `UPDATE payment_spend SET created = created + 1`,
		"how often":                   `UPDATE payment_spend SET attempt = attempt + 1`,
		"what for":                    `UPDATE payment_spend SET call = keyed`,
		"whose it is":                 `UPDATE payment_spend SET payment = (SELECT max(payment) FROM payment_token)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			v := open(t, dir)
			tokens := []string{charged(t, v, "ch_1", pay()), charged(t, v, "ch_2", pay())}
			for i, token := range tokens {
				reserve(t, v, refund(token, 10, fmt.Sprint(i)))
			}
			db := openDB(t, dir)
			query := sql
			if db.Dialect == "postgres" {
				query = strings.NewReplacer("max(payment)", "decode(max(encode(payment, 'hex')), 'hex')", "min(payment)", "decode(min(encode(payment, 'hex')), 'hex')").Replace(sql)
			}
			if _, err := db.ExecContext(t.Context(), forgery(db, query)); err != nil {
				t.Fatal(err)
			}
			for _, token := range tokens {
				s := refund(token, 10, "next")
				if _, err := v.Stand(t.Context(), &s); errors.Is(err, vault.ErrRow) {
					return
				}
			}
			t.Error("nothing was noticed")
		})
	}
}

// A payment goes when no token leads to it any more.
func TestPaymentsAreSwept(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	v := open(t, dir)
	is, err := v.Tokenize(t.Context(), "", time.Hour, []vault.Value{val(vault.KindPayment, "ch_short")})
	must(t, err)
	must(t, is.Keep(t.Context()))
	must(t, v.Learn(t.Context(), []vault.Learned{{Tokens: []string{is.Tokens[0].Text}, Payment: pay()}}))
	reserve(t, v, refund(is.Tokens[0].Text, 10, "k"))
	stays := charged(t, v, "ch_1", pay())
	later := opened(t, dir, vault.Config{Now: (&clock{at: time.Now().Add(2 * time.Hour)}).now})
	_, err = later.Sweep(t.Context())
	must(t, err)
	for table, want := range map[string]int{"payment": 1, "payment_token": 1, "payment_spend": 0} {
		var got int
		must(t, openDB(t, dir).QueryRowContext(t.Context(), "SELECT count(*) FROM "+table).Scan(&got))
		if got != want {
			t.Errorf("%s: got %d rows, want %d", table, got, want)
		}
	}
	if stands(t, v, refund(stays, 10, "k")) != good() {
		t.Error("the other payment went too")
	}
}

// spendAndDie learns of a payment, spends, prints what it has done and ends itself at a
// step.
func spendAndDie(step, dir string) error {
	ctx := context.Background()
	v, err := openDying(ctx, step, dir)
	if err != nil {
		return err
	}
	is, err := v.Tokenize(ctx, "", 0, []vault.Value{{Kind: vault.KindPayment, Text: []byte("ch_1")}})
	if err != nil {
		return err
	}
	token := is.Tokens[0].Text
	p := pay()
	p.Refunded = 1 // other words than before
	if err := v.Learn(ctx, []vault.Learned{{Tokens: []string{token}, Payment: p}}); err != nil {
		return err
	}
	fmt.Println("learned")
	s := refund(token, 3_000, "killed")
	st, err := v.Stand(ctx, &s)
	if err != nil {
		return err
	}
	r, _, err := v.Reserve(ctx, &s, st)
	if err != nil {
		return err
	}
	fmt.Println("reserved")
	if err := r.Settle(ctx); err != nil {
		return err
	}
	return errors.New("the step was not reached")
}

// A process that is killed at any step leaves a balance that is right or too small, never
// too large.
func TestKilledWhileSpending(t *testing.T) {
	t.Parallel()
	for step, want := range map[string]struct {
		says string
		left int64
		key  string
	}{
		"before the learning": {"", 10_000, vault.StandsNew},
		"after the learning":  {"", 9_999, vault.StandsNew},
		"spend row":           {"learned", 9_999, vault.StandsNew},
		"reserved":            {"learned", 6_999, vault.StandsUsed},
		"spend ended":         {"learned reserved", 6_999, vault.StandsUsed},
		"spend noted":         {"learned reserved", 6_999, vault.StandsUsed},
	} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			v := open(t, dir)
			token := charged(t, v, "ch_1", pay())
			cmd := exec.CommandContext(t.Context(), os.Args[0])
			cmd.Env = append(os.Environ(), dieAt+"="+step, dieIn+"="+dir, dieSpending+"=1")
			var out, says bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &says
			err := cmd.Run()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
				t.Fatalf("the child ended with %v: %s", err, says.String())
			}
			if got := strings.Join(strings.Fields(out.String()), " "); got != want.says {
				t.Errorf("the child did %q, want %q", got, want.says)
			}
			if stands(t, v, refund(token, want.left, "k")).Balance != vault.StandsWithin || stands(t, v, refund(token, want.left+1, "k")).Balance != vault.StandsOver {
				t.Errorf("something else than %d is left", want.left)
			}
			if got := stands(t, v, refund(token, 3_000, "killed")).Key; got != want.key {
				t.Errorf("its key: got %s, want %s", got, want.key)
			}
			// Of a call whose end nobody wrote down, a later process can ask again.
			later := opened(t, dir, vault.Config{Now: (&clock{at: time.Now().Add(time.Hour)}).now})
			want := want.key
			if step == "reserved" || step == "spend ended" {
				want = vault.StandsAgain
			}
			if got := stands(t, later, refund(token, 3_000, "killed")).Key; got != want {
				t.Errorf("its key an hour later: got %s, want %s", got, want)
			}
		})
	}
}
