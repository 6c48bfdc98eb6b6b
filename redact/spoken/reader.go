package spoken

import (
	"errors"
	"fmt"
	"sync"
)

// Reader reads spoken numbers. It is safe for concurrent use; the only thing in
// it that changes is a pool of working memory.
type Reader struct {
	dict  dictionary
	langs int
	quick bool      // samples are looked at in blocks
	pool  sync.Pool // of *scan
}

// New compiles the tables; without any, those of [Languages]. The error names the
// language that is wrong.
func New(langs ...*Language) (*Reader, error) {
	if len(langs) == 0 {
		langs = Languages()
	}
	if len(langs) > maxLanguages {
		return nil, fmt.Errorf("%d languages: at most %d fit", len(langs), maxLanguages)
	}
	r := &Reader{langs: len(langs), quick: hasPieces}
	d := &r.dict
	d.names, d.senses, d.langs, d.parts, d.roles, d.nodes = make([]string, 1), make([][maxLanguages]sense, 1), make([]uint8, 1), make([]uint8, 1), make([]role, 1), make([]node, 1)
	for i, l := range langs {
		if err := d.add(i, l); err != nil {
			return nil, err
		}
	}
	if len(d.names) > slots/2 {
		return nil, errors.New("too many words")
	}
	d.weigh()
	d.shorten()
	d.addGrams()
	return r, nil
}

// Default returns the Reader of the built-in tables, which everybody shares. Its
// error would be a mistake in the tables.
var Default = sync.OnceValues(func() (*Reader, error) { return New() })
