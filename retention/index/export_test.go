package index

// AgeFlags has the next call of AnyFlag ask, where it asks at all.
func AgeFlags(x *Index) { x.flags.Age() }
