package vault

import (
	"context"
	"crypto/rand"
	"runtime"
	"time"
)

// A machine that has other things to do needs longer for thousands of rows. And few tokens
// are carried over here, so that every test does it.
func init() { commitTimeout, carryFrom = 5*time.Minute, 24 }

// CarryFrom has an open vault's process carry tokens over from so many on. No vault may be
// at work.
func CarryFrom(n int) { carryFrom = n }

// KeyFileIDs opens a key file and returns the ids of its keys.
func KeyFileIDs(ctx context.Context, path string, seal KeySeal) (ids []uint32, err error) {
	h, err := loadKeyFile(ctx, path, seal)
	if err != nil {
		return nil, err
	}
	for _, k := range h.KeysetInfo().GetKeyInfo() {
		ids = append(ids, k.GetKeyId())
	}
	return ids, nil
}

// OnStep has f told each step of writing tokens. It is called before the vault is used.
func OnStep(v *Vault, f func(step string)) { v.step = f }

// WaitQueued returns when as many calls wait for tokens to be made.
func WaitQueued(v *Vault, n int) {
	for {
		v.changes.mu.Lock()
		queued := len(v.changes.queue)
		v.changes.mu.Unlock()
		if queued >= n {
			return
		}
		runtime.Gosched()
	}
}

// WriteToken is the token with a body and the check that the vault gives it.
func WriteToken(v *Vault, body [16]byte) string { return v.token(body).Text }

// OldToken makes a token as they were made before version 9 of the tables: it says the id
// of its row, all of which is drawn at random.
func OldToken(ctx context.Context, v *Vault, scope string, val Value) (text string, err error) {
	w, err := v.wishFor(ctx, scope, 0, &val, new(Subject))
	if err != nil {
		return "", err
	}
	for rand.Read(w.id[:]); !issuable([]byte(v.token(w.id).Text)); {
		rand.Read(w.id[:])
	}
	d, err := v.drafted(w, drawMark(), [idSize]byte{}, v.now())
	if err != nil {
		return "", err
	}
	is := &Issue{vault: v, Tokens: make([]Token, 1), pending: keeping{mark: d.row.mark}}
	made, err := v.changes.do(ctx, []change{{draft: d}})
	if err != nil {
		return "", err
	}
	is.set(0, made[0])
	return is.Tokens[0].Text, is.Keep(ctx)
}

// RowsOf are the ids under which the row of a token is looked for.
func RowsOf(v *Vault, token string) [2][16]byte {
	said, _ := v.parseToken([]byte(token))
	return v.rowsOf(said)
}

// FormOf is a token with a check that somebody made up.
func FormOf(body [16]byte, check uint32) string {
	return string(appendForm(nil, tokenForm{body, check & (1<<checkBits - 1)}))
}

// BlindInput is what the index key is applied to for a value.
func BlindInput(v *Vault, scope, kind string, kept []byte) []byte {
	in := appendPart(nil, labelTokenBlind)
	in = appendPart(in, v.tenant)
	in = appendPart(in, scope)
	in = appendPart(in, kind)
	return append(in, kept...)
}

// IndexMAC and CheckMAC apply the two secret functions.
func IndexMAC(v *Vault, in []byte) []byte { mac := v.keys.index.compute(in); return mac[:] }

// CheckMAC is the other of them.
func CheckMAC(v *Vault, in []byte) []byte { mac := v.keys.check.compute(in); return mac[:] }

// ColumnsOfTokens are all columns of bytes about tokens that the database has.
func ColumnsOfTokens(ctx context.Context, v *Vault) (out [][]byte) {
	rows, err := v.db.QueryContext(ctx, `SELECT mac, id, tag, sealed, person FROM token`)
	if err != nil {
		panic(err)
	}
	defer rows.Close()
	for rows.Next() {
		var c [5][]byte
		if err := rows.Scan(&c[0], &c[1], &c[2], &c[3], &c[4]); err != nil {
			panic(err)
		}
		out = append(out, c[:]...)
	}
	if err := rows.Err(); err != nil {
		panic(err)
	}
	return out
}

// MoveLog moves the write-ahead log, as the vault does by itself from time to time.
func MoveLog(ctx context.Context, v *Vault) (whole bool, err error) { return v.moveLog(ctx) }

// StopMover ends what looks at the write-ahead log, so that a test can call LookAtLog.
func StopMover(v *Vault) { v.stopMover() }

// LookAtLog is what the vault does each second.
func LookAtLog(ctx context.Context, v *Vault) { v.lookAtLog(ctx) }
