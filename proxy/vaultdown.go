package proxy

import (
	"errors"

	"github.com/caregate/caregate/audit"
)

// Values of vault_down: what becomes of calls that need a vault which does not answer.
// None of them lets a value pass that policy tokenizes (V16).
const (
	vaultDeny = "deny"
	vaultMask = "mask"
)

// attrVaultDown is the attribute of an event that says which of both happened.
const attrVaultDown = "vault_down"

// errUnsealed is wrapped by the error of an event whose details the vault could not seal.
var errUnsealed = errors.New("sealing details")

// withoutVault judges an error of the vault: on a route with `vault_down mask` the
// exchange goes on to its end without the vault. What policy tokenizes is masked, for
// good, and its events name nobody and have no details. A route that only observes masks
// nothing, and is refused.
func (x *exchange) withoutVault(err error) bool {
	if x.h.VaultDown != vaultMask || x.observe() {
		return false
	}
	if x.vaultDown == nil {
		x.vaultDown = err
		x.h.app.metrics.withoutVault.WithLabelValues(x.h.Route).Inc()
		x.h.logger.Warn("a call goes on with masks in place of tokens: the vault does not answer", errField(err))
	}
	return true
}

// maskInstead has the findings masked that were to become tokens, and counted as masked:
// a finding for which there is no token is. Masks that could be undone are for good.
func (side *half) maskInstead() {
	for i := range side.counts {
		c := &side.counts[i]
		c.Masked, c.Tokenized = c.Masked+c.Tokenized, 0
	}
	for i := range side.keeping.values {
		clear(side.keeping.values[i].Text)
	}
	side.keeping = keeping{undo: side.keeping.undo.none()}
}

// noteVault says in an event what became of a call that needed the vault. Who called has
// no pseudonym then; the id of the credential, which is no personal data, stands for it.
func (x *exchange) noteVault(e *audit.Event, ref *refusal) {
	switch {
	case ref != nil && (ref.code == reasonVaultUnavailable || ref.cause == reasonVaultUnavailable):
		e.Attrs[attrVaultDown] = vaultDeny
	case x.vaultDown != nil && e.Attrs[attrVaultDown] == "":
		e.Attrs[attrVaultDown] = vaultMask
	default:
		return
	}
	if x.subject.IsZero() {
		e.Attrs["caller"] = x.actor.ID
	}
}

// unrecordable is why an exchange ends whose event could not be made durable.
func unrecordable(err error) *refusal {
	if errors.Is(err, errUnsealed) {
		return refuseErr(reasonVaultUnavailable, err)
	}
	return refuseErr(reasonAuditUnavailable, err)
}
