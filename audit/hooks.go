package audit

// hookPoint names a step at which a test may make the log fail.
type hookPoint string

// The steps between which a crash or an error must be survived.
const (
	hookCommit    hookPoint = "commit"    // before the intake transaction
	hookCommitted hookPoint = "committed" // after it, before the waits resolve
	hookTiles     hookPoint = "tiles"
	hookDetails   hookPoint = "details"
	hookLock      hookPoint = "lock"
	hookPublish   hookPoint = "publish"
	hookIndex     hookPoint = "index"
)

// hooks is nil outside tests.
type hooks func(hookPoint) error

func (h hooks) run(p hookPoint) error {
	if h == nil {
		return nil
	}
	return h(p)
}
