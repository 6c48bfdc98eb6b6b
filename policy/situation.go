package policy

import (
	"net/netip"
	"slices"
	"time"
	_ "time/tzdata" // which zones there are must not depend on the machine
)

// Situation is where and when a call is made, in the names that the operator's documents
// give: what rules see in place of an address and a clock. Lists are sorted.
type Situation struct {
	// Networks are those that the caller's address is in, Regions the regions of these.
	Networks, Regions []string
	// Hours are those that are open.
	Hours []string
}

// Bounds of what a policy names, so that every name fits into an Input.
const (
	maxNetworks = 64
	maxHours    = 32
)

// network is a row of the operator's networks.
type network struct {
	name, region string
	prefixes     []netip.Prefix
}

// has tells whether an address, in the form that [netip.Addr.Unmap] gives, is in it.
func (n *network) has(addr netip.Addr) bool {
	return slices.ContainsFunc(n.prefixes, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// hours is a row of the operator's hours: on these days, by the clocks of the zone.
type hours struct {
	name string
	zone *time.Location
	days [7]bool // by time.Weekday
	// from and to are minutes of the day. The end is not in it, and may be on the next day.
	from, to int
}

// open tells whether at is within the hours. It goes by what clocks on the wall show: where
// they are set back, the hour that they show twice is in or out both times, and where they
// are set forward, hours end at the minute that comes next.
func (h *hours) open(at time.Time) bool {
	at = at.In(h.zone)
	now, today := at.Hour()*60+at.Minute(), at.Weekday()
	if h.from < h.to {
		return h.days[today] && h.from <= now && now < h.to
	}
	return h.days[today] && now >= h.from || h.days[(today+6)%7] && now < h.to
}

// Situation names where an address is and what time it is. An address that is none is in no
// network.
func (e *Engine) Situation(addr netip.Addr, at time.Time) (s Situation) {
	addr = addr.Unmap().WithZone("")
	for i := range e.networks {
		if n := &e.networks[i]; n.has(addr) {
			s.Networks = append(s.Networks, n.name)
			if n.region != "" {
				s.Regions = append(s.Regions, n.region)
			}
		}
	}
	for i := range e.hours {
		if h := &e.hours[i]; h.open(at) {
			s.Hours = append(s.Hours, h.name)
		}
	}
	for _, names := range [...]*[]string{&s.Networks, &s.Regions, &s.Hours} {
		slices.Sort(*names)
		*names = slices.Compact(*names)
	}
	return s
}
