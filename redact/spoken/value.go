package spoken

// Digits appends the digits that value says, when all of it is one spoken number
// as [Reader.Scan] finds them, and returns the extended slice. Where several
// readings are possible, one whose last digit is a right check digit wins, as it
// did when the value was found. Nothing is appended when value is something else.
func (r *Reader) Digits(dst, value []byte) []byte {
	if len(value) > Reach {
		return dst
	}
	s, _ := r.pool.Get().(*scan)
	if s == nil {
		s = new(scan)
	}
	s.Reader, s.text = r, value
	s.begin(0)
	s.stop = len(value)
	for _, judge := range []anything{{luhn: true}, {}} {
		judge := judge
		s.judge, s.head = &judge, 0
		s.fill()
		if len(s.toks) == 0 {
			break
		}
		s.whole = s.toks[len(s.toks)-1].end
		if s.begins(0) && s.try() > 0 {
			dst = append(dst, s.best.Digits...)
			break
		}
	}
	s.whole = 0
	s.release()
	return dst
}

// anything is a Judge that takes every number, or those with a right check digit.
type anything struct{ luhn bool }

func (a *anything) Begins(uint32) bool                 { return true }
func (a *anything) Fits(_ uint32, _ int, ok bool) bool { return ok || !a.luhn }
func (a *anything) Named(int) bool                     { return true }
func (a *anything) Short(int, int) bool                { return true }
func (a *anything) Take(*Number) bool                  { return true }
