package rego

import "embed"

// Files are the rules (*.rego), their tests (*_test.rego) and their data
// (data/*.yaml, one document per top-level name).
//
//go:embed *.rego data/*.yaml
var Files embed.FS
