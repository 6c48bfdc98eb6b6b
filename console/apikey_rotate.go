package console

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Overlaps of a rotation: how long the old key stays valid.
const (
	// defaultOverlap is a working day, enough to hand a key to another team.
	defaultOverlap = 24 * time.Hour
	// maxOverlap is a quarter; what needs longer wants a second key.
	maxOverlap = 90 * 24 * time.Hour
)

// decodeRotation reads {"overlap_seconds"}.
func decodeRotation(body []byte) (any, *Refusal) {
	seconds := defaultOverlap.Seconds()
	if ref := decodeObject(body, member{"overlap_seconds", &seconds}); ref != nil {
		return nil, ref
	}
	if seconds < 0 || seconds > maxOverlap.Seconds() || seconds != math.Trunc(seconds) {
		return nil, refuse(reasonInvalid, fmt.Sprintf("overlap_seconds: want a whole number from 0 to %d", int(maxOverlap.Seconds())), nil)
	}
	return time.Duration(seconds) * time.Second, nil
}

// rotateAPIKey answers POST /api/v1/apikeys/{id}/rotate.
func rotateAPIKey(a *api, c *callState) (answer, *Refusal) {
	overlap := c.body.(time.Duration)
	key, secret, err := a.Keys.Rotate(c.ctx, c.param, overlap)
	if err != nil {
		return answer{}, keyRefusal(err)
	}
	return a.keyMade(key, secret, map[string]string{
		"replaces":        c.param,
		"overlap_seconds": strconv.Itoa(int(overlap.Seconds())),
	}), nil
}
