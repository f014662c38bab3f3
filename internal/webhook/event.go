package webhook

import (
	"errors"
	"fmt"

	"github.com/go-json-experiment/json"

	"github.com/cobound/prova/api"
)

// decodeEvent reads the body of a delivery. Names are matched by case and may
// occur once, text is valid UTF-8, and nothing follows the object. A member
// that is unknown is passed over: a newer server may send more, and a rollback
// must not fail for that.
func decodeEvent(body []byte) (api.WebhookEvent, error) {
	var e api.WebhookEvent
	if err := json.Unmarshal(body, &e); err != nil {
		return e, errors.New("the body is not the JSON of a webhook event")
	}
	if e.Event != api.EventPromote && e.Event != api.EventRollback {
		return e, fmt.Errorf("the event must be %s or %s", api.EventPromote, api.EventRollback)
	}
	if e.Data.Test {
		return e, nil // is about no rollout, so that nothing in it needs to fit
	}
	if e.Data.RolloutID == "" || e.Data.DecisionEventID == "" || e.Data.Sequence < 0 {
		return e, errors.New("data.rollout_id, data.decision_event_id and data.sequence are needed")
	}
	// An absent weight decodes as 0, which must not read as "promote to nothing".
	low, high := 1, 100
	if e.Event == api.EventRollback {
		low, high = 0, 0
	}
	if w := e.Data.Weight; w < low || w > high {
		return e, fmt.Errorf("data.weight of a %s must be between %d and %d", e.Event, low, high)
	}
	return e, nil
}
