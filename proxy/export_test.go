package proxy

import "github.com/caddyserver/caddy/v2"

// Break makes a stage of every running governed route panic, and returns what
// repairs it. No call may be in that stage meanwhile.
func Break(stage string) (repair func()) {
	v, err := caddy.ActiveContext().App(appName)
	if err != nil {
		panic(err)
	}
	a := v.(*App)
	detector, engine, resolver := a.detector, a.engine, a.resolver
	switch stage {
	case "identify":
		a.resolver = nil
	case "detect":
		a.detector = nil
	case "decide":
		a.engine = nil
	}
	return func() { a.detector, a.engine, a.resolver = detector, engine, resolver }
}
