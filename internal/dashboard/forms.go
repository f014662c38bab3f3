package dashboard

import (
	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// attempted is a form that was sent and refused, so that nothing has to be
// typed again: nil for one that is still empty.
type attempted struct{ *api.Problem }

// Wrong says what is wrong with a member of the form, by its JSON pointer; "" if nothing is.
func (a attempted) Wrong(pointer string) string {
	if a.Problem == nil {
		return ""
	}
	for _, e := range a.Errors {
		if e.Pointer == pointer {
			return e.Detail
		}
	}
	return ""
}

// refusal is what a form shows of an error that is the reader's to mend. Any
// other error is for the page of errors: ok is false.
func refusal(err error) (a attempted, ok bool) {
	switch authority.CodeOf(err) {
	case authority.CodeInvalid, authority.CodeForbidden, authority.CodeConflict:
		return attempted{authority.ProblemOf(err)}, true
	case authority.CodeUnauthenticated, authority.CodeNotFound, authority.CodeUnavailable, authority.CodeReadOnly, authority.CodeInternal:
	}
	return attempted{}, false
}

// invalid points at one member of a form, as the use cases do.
func invalid(pointer, detail string) error {
	return &authority.Error{Code: authority.CodeInvalid, Detail: detail, Fields: []api.FieldError{{Pointer: pointer, Detail: detail}}}
}

// confirmation asks once more before something is ended for good. It is a page
// of its own, so that it asks where scripts are off too.
type confirmation struct {
	Title string
	// What is its object, and Says what comes of it.
	What, Says string
	// Action is where the form is sent, Button what it says, and Back the way out.
	Action, Button, Back string
}
