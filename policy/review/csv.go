package review

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// csvColumns are the columns that a file may have, in any order; account is needed.
var csvColumns = []string{"account", "email", "roles", "groups", "last_login", "mfa", "active"}

// parseCSV reads RFC 4180 with a first line that names the columns. Several roles or groups
// are separated by semicolons. last_login is a day or an instant of RFC 3339; mfa and active
// are yes or no (true, false). What the system does not tell is empty. A column that nobody
// knows is an error: somebody meant something by it.
func parseCSV(src []byte) ([]Account, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(src, []byte("\ufeff"))))
	r.ReuseRecord = true
	head, err := r.Read()
	if err != nil {
		return nil, csvError(err)
	}
	columns := make([]string, len(head))
	for i, name := range head {
		name = strings.ToLower(strings.TrimSpace(name))
		switch {
		case !slices.Contains(csvColumns, name):
			return nil, fmt.Errorf("%w: line 1: column %d is not known; the columns are %s", ErrImport, i+1, strings.Join(csvColumns, ", "))
		case slices.Contains(columns, name):
			return nil, fmt.Errorf("%w: line 1: column %s is there twice", ErrImport, name)
		}
		columns[i] = name
	}
	if !slices.Contains(columns, "account") {
		return nil, fmt.Errorf("%w: line 1: the column account is missing", ErrImport)
	}
	var list []Account
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, csvError(err)
		}
		if len(list) == MaxAccounts {
			return nil, fmt.Errorf("%w: more than %d accounts", ErrImport, MaxAccounts)
		}
		var a Account
		for i, value := range row {
			if err := a.set(columns[i], strings.TrimSpace(value)); err != nil {
				line, _ := r.FieldPos(i)
				return nil, fmt.Errorf("%w: line %d: %s: %w", ErrImport, line, columns[i], err)
			}
		}
		list = append(list, a)
	}
}

// csvError says where a file is no CSV, and repeats nothing of it.
func csvError(err error) error {
	var at *csv.ParseError
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("%w: the file is empty", ErrImport)
	case errors.As(err, &at):
		return fmt.Errorf("%w: line %d: %w", ErrImport, at.Line, at.Err)
	}
	return fmt.Errorf("%w: %w", ErrImport, err)
}

func (a *Account) set(column, value string) (err error) {
	switch column {
	case "account":
		if value == "" {
			return errors.New("wants the account's name")
		}
		a.Name = value
		return checkText(value)
	case "email":
		a.Mail = value
		return checkText(value)
	case "roles":
		a.Roles, err = list(strings.Split(value, ";"))
	case "groups":
		a.Groups, err = list(strings.Split(value, ";"))
	case "last_login":
		a.LastLogin, err = moment(value)
	case "mfa":
		a.MFA, err = truth(value)
	case "active":
		a.Active, err = truth(value)
	}
	return err
}

// list sorts names and leaves out what is empty or there twice.
func list(names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		name = strings.TrimSpace(name)
		if name == "" {
			continue
		}
		if err := checkText(name); err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	slices.Sort(out)
	if out = slices.Compact(out); len(out) > maxList {
		return nil, fmt.Errorf("more than %d", maxList)
	}
	return out, nil
}

// Years between which a last login can lie: what is outside is another unit of time.
const firstYear, lastYear = 1990, 2200

func moment(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t, err = time.Parse(time.DateOnly, s)
	}
	if err != nil || t.Year() < firstYear || t.Year() > lastYear {
		return time.Time{}, errors.New("wants a day, as 2026-11-22, or an instant of RFC 3339")
	}
	return t.UTC().Truncate(time.Second), nil
}

func truth(s string) (string, error) {
	switch strings.ToLower(s) {
	case "":
		return "", nil
	case "yes", "true", "1":
		return Yes, nil
	case "no", "false", "0":
		return No, nil
	}
	return "", errors.New("wants yes or no, or nothing where it is not known")
}
