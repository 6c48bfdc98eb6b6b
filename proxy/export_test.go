package proxy

import (
	"context"
	"time"

	"github.com/caddyserver/caddy/v2"
)

// Break makes a stage of every running governed route panic, and returns what
// repairs it. No call may be in that stage meanwhile.
func Break(stage string) (repair func()) {
	v, err := caddy.ActiveContext().App(appName)
	if err != nil {
		panic(err)
	}
	a := v.(*App)
	detection, engine, resolver := a.detection.Load(), a.engine, a.resolver
	detector := detection.detector
	switch stage {
	case "identify":
		a.resolver = nil
	case "detect":
		detection.detector = nil // a call under way has this one
	case "decide":
		a.engine = nil
	}
	return func() {
		detection.detector = detector
		a.engine, a.resolver = engine, resolver
	}
}

// RefreshDetection looks at the lists of the running configuration once, as if it
// were now.
func RefreshDetection(now time.Time) (taken bool, err error) {
	v, err := caddy.ActiveContext().App(appName)
	if err != nil {
		return false, err
	}
	return v.(*App).refreshDetection(context.Background(), now)
}
