package store

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/stats"
)

func (s *snapshot) OpenEpoch(appID, environment string) (authority.Epoch, error) {
	return one(s.session, "read the open epoch", `SELECT app_id, environment, number, first_index, started_at, runs FROM epochs
 WHERE org = ? AND app_id = ? AND environment = ? ORDER BY number DESC LIMIT 1`, []any{s.org, appID, environment},
		func(r row) (authority.Epoch, error) {
			var e authority.Epoch
			var startedAt int64
			err := r.Scan(&e.AppID, &e.Environment, &e.Number, &e.FirstIndex, &startedAt, &e.Runs)
			e.StartedAt = timeOf(startedAt)
			return e, err
		})
}

func (t *tx) SaveEpoch(e authority.Epoch) error {
	if err := t.hold("save an epoch"); err != nil {
		return err
	}
	_, err := t.exec("save an epoch", `INSERT INTO epochs (org, app_id, environment, number, first_index, started_at, runs)
 VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (org, app_id, environment, number) DO UPDATE
 SET first_index = excluded.first_index, started_at = excluded.started_at, runs = excluded.runs`,
		t.org, e.AppID, e.Environment, e.Number, e.FirstIndex, micros(e.StartedAt), e.Runs)
	return err
}

func (s *snapshot) Cohort(appID, environment string, epoch int64, release string) (authority.Cohort, error) {
	var c conditions
	c.add("org = ? AND app_id = ? AND environment = ? AND epoch = ? AND release = ?", s.org, appID, environment, epoch, release)
	all, err := s.cohorts("read a cohort", c)
	if err != nil {
		return authority.Cohort{}, err
	}
	if len(all) == 0 {
		return authority.Cohort{}, fmt.Errorf("store: read a cohort: %w", authority.ErrNotFound)
	}
	return all[0], nil
}

func (s *snapshot) Cohorts(appID, environment string, fromEpoch int64, releases ...string) ([]authority.Cohort, error) {
	if len(releases) == 0 {
		return nil, nil
	}
	var c conditions
	c.add("org = ? AND app_id = ? AND environment = ? AND epoch >= ?", s.org, appID, environment, fromEpoch)
	c.addIn("release", releases)
	return s.cohorts("list cohorts", c)
}

// cohorts reads cohorts by epoch, then release, and then their summaries in
// the same order, so that one pass joins them.
func (s *snapshot) cohorts(what string, c conditions) ([]authority.Cohort, error) {
	all, err := list(s.session, what, `SELECT app_id, environment, epoch, release, runs, first_index, last_index FROM cohorts`+
		c.where()+" ORDER BY epoch, release", c.args,
		func(r row) (c authority.Cohort, err error) {
			return c, r.Scan(&c.AppID, &c.Environment, &c.Epoch, &c.Release, &c.Runs, &c.FirstIndex, &c.LastIndex)
		})
	if err != nil {
		return nil, err
	}
	at := 0
	err = s.each(what, "SELECT epoch, release, metric, data FROM summaries"+c.where()+" ORDER BY epoch, release", c.args,
		func(r row) error {
			var epoch int64
			var release, metric string
			var data []byte
			if err := r.Scan(&epoch, &release, &metric, &data); err != nil {
				return err
			}
			for at < len(all) && (all[at].Epoch != epoch || all[at].Release != release) {
				at++
			}
			if at == len(all) {
				return fmt.Errorf("the summary of %q has no cohort", metric)
			}
			var summary stats.Summary
			if err := summary.UnmarshalBinary(data); err != nil {
				return fmt.Errorf("the summary of %q: %w", metric, err)
			}
			if all[at].Metrics == nil {
				all[at].Metrics = map[string]stats.Summary{}
			}
			all[at].Metrics[metric] = summary
			return nil
		})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func (t *tx) SaveCohort(c authority.Cohort) error {
	if err := t.hold("save a cohort"); err != nil {
		return err
	}
	_, err := t.exec("save a cohort", `INSERT INTO cohorts (org, app_id, environment, epoch, release, runs, first_index, last_index)
 VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (org, app_id, environment, epoch, release) DO UPDATE
 SET runs = excluded.runs, first_index = excluded.first_index, last_index = excluded.last_index`,
		t.org, c.AppID, c.Environment, c.Epoch, c.Release, c.Runs, c.FirstIndex, c.LastIndex)
	if err != nil {
		return err
	}
	rows := make([][]any, 0, len(c.Metrics))
	for _, metric := range slices.Sorted(maps.Keys(c.Metrics)) {
		data, err := c.Metrics[metric].MarshalBinary()
		if err != nil {
			return fmt.Errorf("store: save the summary of %q: %w", metric, err)
		}
		rows = append(rows, []any{t.org, c.AppID, c.Environment, c.Epoch, c.Release, metric, data})
	}
	return t.insert("save the summaries of a cohort", "INSERT INTO summaries (org, app_id, environment, epoch, release, metric, data)",
		" ON CONFLICT (org, app_id, environment, epoch, release, metric) DO UPDATE SET data = excluded.data", rows)
}

func (s *snapshot) Releases(appID, environment string) ([]api.Release, error) {
	var c conditions
	c.add("org = ?", s.org)
	c.addText("app_id = ?", appID)
	c.addText("environment = ?", environment)
	all, err := list(s.session, "list releases", `SELECT app_id, environment, release, CAST(SUM(runs) AS BIGINT), MIN(first_index), MAX(last_index)
 FROM cohorts`+c.where()+" GROUP BY app_id, environment, release ORDER BY app_id, environment, MIN(first_index), release", c.args,
		func(r row) (v api.Release, err error) {
			return v, r.Scan(&v.AppID, &v.Environment, &v.Release, &v.Runs, &v.FirstIndex, &v.LastIndex)
		})
	if err != nil {
		return nil, err
	}
	type key struct{ appID, environment, release string }
	metrics := map[key][]string{}
	err = s.each("list the metrics of releases", "SELECT DISTINCT app_id, environment, release, metric FROM summaries"+c.where()+" ORDER BY metric", c.args,
		func(r row) error {
			var k key
			var metric string
			err := r.Scan(&k.appID, &k.environment, &k.release, &metric)
			metrics[k] = append(metrics[k], metric)
			return err
		})
	if err != nil {
		return nil, err
	}
	for i, v := range all {
		all[i].Metrics = append([]string{}, metrics[key{v.AppID, v.Environment, v.Release}]...)
	}
	return all, nil
}
