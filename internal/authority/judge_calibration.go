package authority

import (
	"context"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/evidence"
	"github.com/cobound/prova/internal/rollout"
	"github.com/cobound/prova/internal/stats"
)

// calibrationBody is the body of a calibration's receipt.
type calibrationBody struct {
	common
	Calibration api.Calibration `json:"calibration"`
}

// RecordCalibration records how well a judge agrees with people. The newest of
// a judge is shown with each of its win rates; it decides nothing. Kappa, and the
// value and the limits of a share, follow from the counts, whatever was sent.
func (a *Authority) RecordCalibration(ctx context.Context, p Principal, c api.Calibration) (api.Calibration, error) {
	if err := p.need(api.JudgeWrite); err != nil {
		return c, err
	}
	if c.Environment == "" {
		c.Environment = api.DefaultEnvironment
	}
	c.EventID, c.RecordedAt = "", ""
	if err := checkCalibration(p, c); err != nil {
		return c, err
	}
	for _, s := range []*api.Share{&c.Agreement, &c.Consistent, &c.FirstBias, &c.LongerWins, &c.LabelsLonger, &c.Retest} {
		*s = rollout.ShareOf(stats.Proportion{X: s.X, N: s.N}, rollout.DefaultConfidence)
	}
	c.Kappa = stats.Kappa(c.Confusion)
	now := a.now()
	body := calibrationBody{common: a.common(p, api.KindCalibration, now), Calibration: c}
	body.Source = &api.EventSource{AppID: c.AppID, Environment: c.Environment}
	entry, sealed, err := a.sealedEntry(body, now)
	if err != nil {
		return c, err
	}
	entry.AppID, entry.Environment = c.AppID, c.Environment
	c.EventID, c.RecordedAt = sealed.EventID, stamp(now)
	err = a.Store.Update(ctx, p.Org, func(tx Tx) error {
		head, err := tx.LockHead()
		if err != nil {
			return err
		}
		if _, err := appendEntries(tx, head, []Entry{entry}); err != nil {
			return err
		}
		return tx.AddCalibration(c.AppID, c.Environment, evidence.JudgeKey(c.Judge), head.Tree.Size())
	})
	return c, storeError("log", err)
}

func checkCalibration(p Principal, c api.Calibration) error {
	for _, n := range []struct {
		pointer, what, value string
		optional             bool
	}{
		{"/app_id", "app_id", c.AppID, false},
		{"/environment", "environment", c.Environment, false},
		{"/judge/model", "judge.model", c.Judge.Model, false},
		{"/judge/version", "judge.version", c.Judge.Version, true},
		{"/judge/template", "judge.template", c.Judge.Template, true},
	} {
		if err := api.CheckName(n.what, n.value); err != nil && !(n.optional && n.value == "") {
			return invalid(n.pointer, "%v", err)
		}
	}
	if !p.sees(c.Environment) {
		return fail(CodeForbidden, "this key is limited to the environment %q", p.Environment)
	}
	if c.Compared < 1 || c.Labels < c.Compared {
		return invalid("/compared", "a calibration compares at least one verdict with a label: %d of %d labels", c.Compared, c.Labels)
	}
	sum := int64(0)
	for _, row := range c.Confusion {
		for _, n := range row {
			if n < 0 {
				return invalid("/confusion", "a count is negative")
			}
			sum += n
		}
	}
	if sum != c.Compared || c.Agreement.N != c.Compared || c.Agreement.X != c.Confusion[0][0]+c.Confusion[1][1]+c.Confusion[2][2] {
		return invalid("/confusion", "the counts of confusion add up to %d, and %d were compared: agreement is the sum of its diagonal", sum, c.Compared)
	}
	for pointer, s := range map[string]api.Share{
		"/agreement": c.Agreement, "/consistent": c.Consistent, "/first_bias": c.FirstBias, "/longer_wins": c.LongerWins, "/labels_longer": c.LabelsLonger, "/retest": c.Retest,
	} {
		if s.X < 0 || s.X > s.N {
			return invalid(pointer, "%d of %d is no share", s.X, s.N)
		}
	}
	return nil
}
