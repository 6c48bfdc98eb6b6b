package console

import (
	_ "embed"
	"encoding/json"
	"net/http"
)

//go:embed openapi.json
var openAPI []byte

// readOpenAPI answers GET /api/v1/openapi.json.
func readOpenAPI(*api, *callState) (answer, *Refusal) {
	return answer{status: http.StatusOK, body: json.RawMessage(openAPI)}, nil
}
