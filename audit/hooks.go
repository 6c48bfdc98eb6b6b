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
	hookRepair    hookPoint = "repair" // between the steps of a repair

	// Of a rollover, in their order; commit, tiles, lock, publish and index come
	// between them.
	hookKey    hookPoint = "key"    // before the next key is written
	hookClose  hookPoint = "close"  // before shard.closed is queued
	hookAdopt  hookPoint = "adopt"  // before the key gets its name
	hookOpen   hookPoint = "open"   // before the first files of the next shard
	hookInsert hookPoint = "insert" // before it goes into the lock store

	// The steps of an expiry: before ciphertexts are deleted, before the leaf, and
	// before it is noted that the leaf is there.
	hookExpireDelete hookPoint = "expire_delete"
	hookExpireLeaf   hookPoint = "expire_leaf"
	hookExpireDone   hookPoint = "expire_done"
)

// hooks is nil outside tests.
type hooks func(hookPoint) error

func (h hooks) run(p hookPoint) error {
	if h == nil {
		return nil
	}
	return h(p)
}
