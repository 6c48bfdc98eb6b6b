package walk

// read reads a body made of pieces or parts.
func (c *collector) read() *Refusal {
	switch c.Kind {
	case HTML:
		p := htmlReader{collector: *c}
		return p.document()
	case CSV:
		p := csvReader{collector: *c}
		return p.document()
	case XML:
		p := xmlReader{collector: *c}
		return p.document()
	}
	return nil
}
