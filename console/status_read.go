package console

import "net/http"

// readStatus answers GET /api/v1/status.
func readStatus(a *api, c *callState) (answer, *Refusal) {
	s, err := a.Status(c.ctx)
	if err != nil {
		return answer{}, refuse(reasonInternal, "", err)
	}
	if s.Routes == nil {
		s.Routes = []Route{}
	}
	if s.Trails == nil {
		s.Trails = []Trail{}
	}
	if s.Tokens == nil {
		s.Tokens = []VendorToken{}
	}
	for i := range s.Routes {
		if s.Routes[i].Exceptions == nil {
			s.Routes[i].Exceptions = []string{}
		}
	}
	return answer{status: http.StatusOK, body: s}, nil
}
