package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/caregate/caregate/audit"
	"github.com/caregate/caregate/vault"
)

// LogRepair says who repairs a log, and whether it is to be done or only planned.
type LogRepair struct {
	// Operator and Reason are sealed in the leaf about the repair. Required with Apply.
	Operator, Reason string
	Apply            bool
}

// repairDetail is sealed under the key of who repaired.
type repairDetail struct {
	Operator string `json:"operator"`
	Reason   string `json:"reason"`
}

// RepairLog looks for what keeps the audit log of a data directory from being opened,
// and with by.Apply repairs it, see audit.Repair. No gateway may run. With Apply the
// vault must open: who decided is kept like every other actor, as a pseudonym, with
// the name sealed.
func RepairLog(ctx context.Context, c DataConfig, by LogRepair) (_ audit.RepairReport, err error) {
	name := c.Name
	c = c.withDefaults()
	o := audit.RepairOptions{Config: c.audit(), Apply: by.Apply}
	o.Deployment = name // empty: the log's own
	if !by.Apply {
		return audit.Repair(ctx, c.Dir, o)
	}
	if by.Operator == "" || by.Reason == "" {
		return audit.RepairReport{}, errors.New("a repair needs the name of who decides it, and the reason")
	}
	keys, err := c.vault(ctx)
	if err != nil {
		return audit.RepairReport{}, err
	}
	v, err := vault.Open(ctx, c.Dir, keys)
	if err != nil {
		return audit.RepairReport{}, fmt.Errorf("opening the vault: %w", err)
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	o.Note = fmt.Sprintf("Decided by %s: %s", by.Operator, by.Reason)
	o.Seal = func(origin string, id audit.ID) (audit.Pseudonym, []audit.Sealed, error) {
		who, err := v.Actor(ctx, "operator:"+by.Operator)
		if err != nil {
			return audit.Pseudonym{}, nil, err
		}
		plain, err := json.Marshal(repairDetail{by.Operator, by.Reason})
		if err != nil {
			return audit.Pseudonym{}, nil, err
		}
		period, err := v.Period(ctx, purposeOf(c.Gateway, retentionAdministration, partActor), time.Now())
		if err != nil {
			return audit.Pseudonym{}, nil, err
		}
		s, err := v.SealIn(period, who, vault.AD(origin, id, partActor), plain)
		return who.Pseudonym(origin), []audit.Sealed{{Part: partActor, Key: s.Key, Ciphertext: s.Ciphertext, Commitment: s.Commitment}}, err
	}
	return audit.Repair(ctx, c.Dir, o)
}
