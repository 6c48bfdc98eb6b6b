package audit

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// LostDetails is a range of entries whose sealed details a repair could not read any
// more, as its log.gap leaf says.
type LostDetails struct {
	// Shard, Class and Part name the details: half year, retention class, and "subject"
	// or "actor".
	Shard string `json:"shard"`
	Class string `json:"class"`
	Part  string `json:"part"`
	// From (included) and To (excluded) are entries. No part before From, back to the
	// one that is there, belongs to them.
	From int64 `json:"from"`
	To   int64 `json:"to"`
	// Count is how many parts were lost. It is less than the range had when ranges that
	// lie near were told as one, because a leaf has only so much room.
	Count int64 `json:"count"`
}

func (d LostDetails) key() expiryKey { return expiryKey{d.Shard, d.Class, d.Part} }

// attrLostDetails holds the ranges as JSON, and lostRanges is how many are tried first.
const (
	attrLostDetails = "details"
	lostRanges      = 256
	// toldRanges bounds the ranges in the words for people.
	toldRanges = 8
)

// lostDetails collects ranges of entries while they are read in order.
type lostDetails struct {
	ranges map[expiryKey][]LostDetails
	// next is behind the last entry of each kind whose part is there or told of, open
	// is set while the last was lost.
	next map[expiryKey]int64
	open map[expiryKey]bool
}

func newLostDetails() lostDetails {
	return lostDetails{ranges: map[expiryKey][]LostDetails{}, next: map[expiryKey]int64{}, open: map[expiryKey]bool{}}
}

// there takes a part that is not lost.
func (x *lostDetails) there(k expiryKey, idx int64) { x.next[k], x.open[k] = idx+1, false }

// add takes a part that is. A range begins right behind the last part that is there, so
// that it joins what expires before it.
func (x *lostDetails) add(k expiryKey, idx int64) {
	list := x.ranges[k]
	if n := len(list); x.open[k] || n > 0 && list[n-1].To == idx+1 { // of one entry, a second part
		list[n-1].To = idx + 1
		list[n-1].Count++
		return
	}
	x.ranges[k], x.open[k] = append(list, LostDetails{k.shard, k.class, k.part, min(x.next[k], idx), idx + 1, 1}), true
}

// sorted are the kinds in their order.
func (x *lostDetails) sorted() []expiryKey {
	return slices.SortedFunc(maps.Keys(x.ranges), func(a, b expiryKey) int {
		return cmp.Or(cmp.Compare(a.shard, b.shard), cmp.Compare(a.class, b.class), cmp.Compare(a.part, b.part))
	})
}

// text says in words what was lost, "" for nothing.
func (x *lostDetails) text() string {
	var count int64
	var told []string
	ranges := 0
	for _, k := range x.sorted() {
		for _, d := range x.ranges[k] {
			count += d.Count
			if ranges++; ranges <= toldRanges {
				told = append(told, fmt.Sprintf("%d of %s (%s) in entries %d to %d of %s", d.Count, d.Part, d.Class, d.From, d.To-1, d.Shard))
			}
		}
	}
	if count == 0 {
		return ""
	}
	text := fmt.Sprintf("%d sealed parts: %s", count, strings.Join(told, ", "))
	if ranges > toldRanges {
		text += fmt.Sprintf(" and in %d more ranges", ranges-toldRanges)
	}
	return text
}

// encode makes the attribute of the leaf, "" for nothing. Ranges that do not fit are
// joined over the smallest distances between them.
func (x *lostDetails) encode() (string, error) {
	if len(x.ranges) == 0 {
		return "", nil
	}
	for limit := lostRanges; limit > 0; limit /= 2 {
		text, err := json.Marshal(x.joined(limit))
		if err != nil {
			return "", err
		}
		if len(text) <= maxValue {
			return string(text), nil
		}
	}
	return "", fmt.Errorf("%w: details of too many kinds are lost to be told of in one entry; restore %s", ErrUnrepairable, detailFile)
}

// lostInLeaf is how ranges stand in a leaf: by shard, class and part lists of first
// entry, entry behind the last, and count.
type lostInLeaf map[string]map[string]map[string][][3]int64

// joined are the ranges, at most limit of them and one of each kind.
func (x *lostDetails) joined(limit int) lostInLeaf {
	var distances []int64
	for _, list := range x.ranges {
		for i := 1; i < len(list); i++ {
			distances = append(distances, list[i].From-list[i-1].To)
		}
	}
	join := int64(-1) // distances up to it are joined
	if over := len(distances) + len(x.ranges) - limit; over > 0 && len(distances) > 0 {
		slices.Sort(distances)
		join = distances[min(over, len(distances))-1]
	}
	out := lostInLeaf{}
	for k, list := range x.ranges {
		var ranges [][3]int64
		for _, d := range list {
			if n := len(ranges); n > 0 && d.From-ranges[n-1][1] <= join {
				ranges[n-1][1] = d.To
				ranges[n-1][2] += d.Count
				continue
			}
			ranges = append(ranges, [3]int64{d.From, d.To, d.Count})
		}
		if out[k.shard] == nil {
			out[k.shard] = map[string]map[string][][3]int64{}
		}
		if out[k.shard][k.class] == nil {
			out[k.shard][k.class] = map[string][][3]int64{}
		}
		out[k.shard][k.class][k.part] = ranges
	}
	return out
}

// parseLostDetails reads the attribute.
func parseLostDetails(text string) ([]LostDetails, error) {
	var in lostInLeaf
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return nil, err
	}
	var out []LostDetails
	for shard, classes := range in {
		for class, parts := range classes {
			for part, ranges := range parts {
				for _, r := range ranges {
					d := LostDetails{shard, class, part, r[0], r[1], r[2]}
					if !validShard(shard) || d.From < 0 || d.To <= d.From || d.Count <= 0 {
						return nil, fmt.Errorf("no range of entries of shard %s", shard)
					}
					out = append(out, d)
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b LostDetails) int {
		return cmp.Or(cmp.Compare(a.Shard, b.Shard), cmp.Compare(a.Class, b.Class), cmp.Compare(a.Part, b.Part), cmp.Compare(a.From, b.From))
	})
	return out, nil
}
