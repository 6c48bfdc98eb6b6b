package detect

import (
	"crypto/sha256"
)

// The alphabets of base 58: Bitcoin's, and the XRP ledger's, which holds the same
// characters in another order.
var (
	base58Bitcoin = base58Alphabet("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
	base58XRP     = base58Alphabet("rpshnaf39wBUDNEGHJKLM4PQRST7VWXYZ2bcdeCg65jkm8oFqi1tuvAxyz")
)

// base58Table gives the value of a character, or 0xFF.
type base58Table [256]uint8

func base58Alphabet(chars string) *base58Table {
	var t base58Table
	for i := range t {
		t[i] = 0xFF
	}
	for i := range len(chars) {
		t[chars[i]] = uint8(i)
	}
	return &t
}

// maxBase58 is the most bytes that are decoded: those of an extended private key
// with its checksum.
const maxBase58 = 82

// decodeBase58 decodes text into the last n bytes of buf and reports whether the
// number fits and, as base58check wants it, every zero byte in front is written
// as one zero digit. Text is at most 112 characters.
func decodeBase58(buf *[maxBase58]byte, text []byte, n int, alphabet *base58Table) ([]byte, bool) {
	ones := 0
	for ones < len(text) && alphabet[text[ones]] == 0 {
		ones++
	}
	// Limbs of 32 bits, the lowest first.
	var limbs [(maxBase58 + 3) / 4]uint32
	used := 0
	// Five digits at a time, as many as a limb holds.
	for len(text) > 0 {
		carry, factor := uint64(0), uint64(1)
		few := text[:min(5, len(text))]
		text = text[len(few):]
		for _, b := range few {
			v := alphabet[b]
			if v == 0xFF {
				return nil, false
			}
			carry = carry*58 + uint64(v)
			factor *= 58
		}
		for i := range used {
			carry += uint64(limbs[i]) * factor
			limbs[i] = uint32(carry)
			carry >>= 32
		}
		if carry > 0 {
			if used == (n+3)/4 {
				return nil, false
			}
			limbs[used] = uint32(carry)
			used++
		}
	}
	out := buf[:n]
	for i := range out {
		out[n-1-i] = byte(limbs[i/4] >> (i % 4 * 8))
	}
	if r := n % 4; r != 0 && limbs[n/4]>>(r*8) != 0 {
		return nil, false // too large by less than a limb
	}
	zeros := 0
	for zeros < n && out[zeros] == 0 {
		zeros++
	}
	return out, zeros == ones
}

// base58Check decodes text to n bytes of which the last four are the begin of the
// double SHA-256 of the others. Only a value whose first byte is version is
// hashed.
func base58Check(buf *[maxBase58]byte, text []byte, n int, alphabet *base58Table, version byte) ([]byte, bool) {
	out, ok := decodeBase58(buf, text, n, alphabet)
	if !ok || out[0] != version {
		return nil, false
	}
	sum := sha256.Sum256(out[:n-4])
	sum = sha256.Sum256(sum[:])
	return out, string(sum[:4]) == string(out[n-4:])
}

// addressKind is a kind of address in base58check: a version byte and a hash of
// twenty bytes, 25 bytes with the checksum.
type addressKind struct {
	first    byte
	min, max int
	version  byte
	rule     string
}

var addressKinds = [...]addressKind{
	{'1', 26, 34, 0x00, "bitcoin address"},
	{'3', 33, 35, 0x05, "bitcoin address"},
	{'L', 33, 34, 0x30, "litecoin address"},
	{'M', 33, 34, 0x32, "litecoin address"},
	{'D', 33, 34, 0x1E, "dogecoin address"},
	{'T', 34, 34, 0x41, "tron address"},
	{'r', 25, 35, 0x00, "xrp address"},
}

// base58Address returns the kind of address that word is, or "".
func base58Address(word []byte) string {
	for i := range addressKinds {
		k := &addressKinds[i]
		if word[0] != k.first || len(word) < k.min || len(word) > k.max {
			continue
		}
		alphabet := base58Bitcoin
		if k.first == 'r' {
			alphabet = base58XRP
		}
		var buf [maxBase58]byte
		if _, ok := base58Check(&buf, word, 25, alphabet, k.version); ok {
			return k.rule
		}
	}
	return ""
}

// walletBegin is how extended private keys begin.
const walletBegin = "xprv"

// walletKey returns where the private key of a wallet that begins at i ends, or
// 0: Bitcoin's import format (51 characters from 5, or 52 from K or L) and extended
// private keys (111 from xprv), both base58check.
func walletKey(t []byte, i int) int {
	var buf [maxBase58]byte
	switch b := t[i]; {
	case b == '5' || b == 'K' || b == 'L':
		end := spanOf(t, i, setAlnum, 53)
		n := end - i
		if b == '5' && n == 51 {
			if _, ok := base58Check(&buf, t[i:end], 37, base58Bitcoin, 0x80); ok {
				return end
			}
		}
		if b != '5' && n == 52 {
			if out, ok := base58Check(&buf, t[i:end], 38, base58Bitcoin, 0x80); ok && out[33] == 1 {
				return end
			}
		}
	case b == 'x' && len(t)-i >= 111 && string(t[i:i+len(walletBegin)]) == walletBegin:
		end := spanOf(t, i, setAlnum, 112)
		if end-i == 111 {
			if _, ok := base58Check(&buf, t[i:end], 82, base58Bitcoin, 0x04); ok {
				return end
			}
		}
	}
	return 0
}

// solanaAddress reports whether word is 32 bytes in base 58: nothing in it proves
// that, so words around it have to.
func solanaAddress(word []byte) bool {
	if len(word) < 32 || len(word) > 44 || !has(word, setDigit) || !has(word, setUpper) || !has(word, setLower) {
		return false
	}
	var buf [maxBase58]byte
	_, ok := decodeBase58(&buf, word, 32, base58Bitcoin)
	return ok && varied(word, 12)
}
