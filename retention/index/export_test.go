package index

import "time"

// AgeFlags has the next call of AnyFlag ask, where it asks at all.
func AgeFlags(x *Index) { x.flags.looked.Store(-int64(time.Hour)) }
