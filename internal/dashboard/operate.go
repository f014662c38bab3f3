package dashboard

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
)

// operation is what a person can do to a rollout.
type operation struct {
	// Action ends the address of the form, Done is the code of what is said afterwards.
	Action, Done string
	Button       string
	// What says what happens.
	What string
	// Grave is drawn as a warning.
	Grave bool
	do    func(c Cases) act
}

// act is the use case of an operation.
type act func(ctx context.Context, p authority.Principal, id, reason string) (api.Rollout, error)

// operations are those that the state of a rollout allows.
func operations(r api.Rollout) []operation {
	if r.State.Finished() {
		return nil
	}
	webhook, next := ", and fires a webhook", "the last step"
	if r.Mode == api.ModeShadow {
		webhook = ", on paper"
	}
	if r.Step < len(r.Policy.Steps) {
		next = strconv.Itoa(r.Policy.Steps[r.Step]) + " %"
	}
	pause := operation{
		Action: "pause", Done: "paused", Button: "Pause", What: "Stops it from advancing. It is still ticked and may roll back.",
		do: func(c Cases) act { return c.Pause },
	}
	if r.State == api.StatePaused {
		pause = operation{Action: "resume", Done: "resumed", Button: "Resume", What: "Lets it advance again.", do: func(c Cases) act { return c.Resume }}
	}
	promote := operation{
		Action: "promote", Done: "promoted", Button: "Promote one step",
		What: "Overrides the verdict: authorises " + next + webhook + ". The receipt says that a person did.",
		do:   func(c Cases) act { return c.PromoteStep },
	}
	abort := operation{
		Action: "abort", Done: "aborted", Button: "Abort", What: "Ends it for good with weight 0 %" + webhook + ".", Grave: true,
		do: func(c Cases) act { return c.Abort },
	}
	return []operation{pause, promote, abort}
}

// operate carries out what a form asks for. Where it fails, the page comes back
// with what was typed.
func (h *Handler) operate(r *request) error {
	id, action, reason := r.PathValue("id"), r.PathValue("action"), r.PostForm.Get("reason")
	ro, err := h.Cases.Rollout(r.Context(), r.who, id)
	if err != nil {
		return err
	}
	done, err := h.act(r, ro, action, reason)
	if err == nil {
		return r.see("/rollouts/"+id, done)
	}
	problem := authority.ProblemOf(err)
	if problem.Status != 400 && problem.Status != 409 {
		return err
	}
	page, err := h.rolloutPage(r.Context(), r, id)
	if err != nil {
		return err
	}
	page.Problem, page.Action, page.Typed = problem, action, reason
	return r.page(problem.Status, "rollout", page.title(), "live.js", page)
}

// act carries out an action and returns the code of what is said afterwards.
func (h *Handler) act(r *request, ro api.Rollout, action, reason string) (done string, err error) {
	possible := operations(ro)
	i := slices.IndexFunc(possible, func(o operation) bool { return o.Action == action })
	switch {
	case i < 0 && !slices.Contains([]string{"pause", "resume", "promote", "abort"}, action):
		return "", &authority.Error{Code: authority.CodeNotFound, Detail: "there is nothing at this address"}
	case i < 0:
		return "", &authority.Error{Code: authority.CodeConflict, Detail: fmt.Sprintf("the rollout is %s by now: %s is not possible", ro.State, action)}
	case action == "promote" && r.PostForm.Get("step") != strconv.Itoa(ro.Step): // the person meant the step that they saw
		return "", &authority.Error{Code: authority.CodeConflict, Detail: "the rollout is at step " + strconv.Itoa(ro.Step) + " by now; look at it, and promote it again if you still want to"}
	}
	_, err = possible[i].do(h.Cases)(r.Context(), r.who, ro.ID, reason)
	return possible[i].Done, err
}
