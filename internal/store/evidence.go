package store

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/stats"
)

const epochColumns = "app_id, environment, number, span, first_index, started_at, runs"

func scanEpoch(r row) (authority.Epoch, error) {
	var e authority.Epoch
	var startedAt int64
	err := r.Scan(&e.AppID, &e.Environment, &e.Number, &e.Span, &e.FirstIndex, &startedAt, &e.Runs)
	e.StartedAt = timeOf(startedAt)
	return e, err
}

func (s *snapshot) OpenEpoch(appID, environment string) (authority.Epoch, error) {
	return one(s.session, "read the open epoch", "SELECT "+epochColumns+` FROM epochs
 WHERE org = ? AND app_id = ? AND environment = ? ORDER BY number DESC LIMIT 1`, []any{s.org, appID, environment}, scanEpoch)
}

func (s *snapshot) Epoch(appID, environment string, number int64) (authority.Epoch, error) {
	return one(s.session, "read an epoch", "SELECT "+epochColumns+` FROM epochs
 WHERE org = ? AND app_id = ? AND environment = ? AND number = ?`, []any{s.org, appID, environment, number}, scanEpoch)
}

func (t *tx) SaveEpoch(e authority.Epoch) error {
	if err := t.hold("save an epoch"); err != nil {
		return err
	}
	_, err := t.exec("save an epoch", "INSERT INTO epochs (org, "+epochColumns+`)
 VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (org, app_id, environment, number) DO UPDATE
 SET span = excluded.span, first_index = excluded.first_index, started_at = excluded.started_at, runs = excluded.runs`,
		t.org, e.AppID, e.Environment, e.Number, e.Span, e.FirstIndex, micros(e.StartedAt), e.Runs)
	return err
}

func (s *snapshot) Cohort(appID, environment string, span int64, release string) (authority.Cohort, error) {
	var c conditions
	c.add("org = ? AND app_id = ? AND environment = ? AND span = ? AND release = ?", s.org, appID, environment, span, release)
	all, err := s.cohorts("read a cohort", c, c)
	if err != nil {
		return authority.Cohort{}, err
	}
	if len(all) == 0 {
		return authority.Cohort{}, fmt.Errorf("store: read a cohort: %w", authority.ErrNotFound)
	}
	return all[0], nil
}

func (s *snapshot) Cohorts(filter authority.CohortFilter) ([]authority.Cohort, error) {
	if len(filter.Releases) == 0 {
		return nil, nil
	}
	var cohorts conditions
	cohorts.add("org = ? AND app_id = ? AND environment = ? AND span >= ?", s.org, filter.AppID, filter.Environment, filter.FromSpan)
	cohorts.addIn("release", filter.Releases)
	summaries := conditions{text: slices.Clone(cohorts.text), args: slices.Clone(cohorts.args)}
	if filter.Metrics != nil {
		summaries.addIn("metric", filter.Metrics)
	}
	return s.cohorts("list cohorts", cohorts, summaries)
}

const cohortColumns = "app_id, environment, span, release, runs, first_index, last_index, epochs, probes, models"

// scanCohort reads a cohort without its summaries.
func scanCohort(r row) (authority.Cohort, error) {
	var c authority.Cohort
	var epochs, probes, models []byte
	if err := r.Scan(&c.AppID, &c.Environment, &c.Span, &c.Release, &c.Runs, &c.FirstIndex, &c.LastIndex, &epochs, &probes, &models); err != nil {
		return c, err
	}
	var err error
	if c.Epochs, err = epochCounts(epochs); err != nil {
		return c, fmt.Errorf("the epochs of a cohort: %w", err)
	}
	if c.Mixes.Probes, err = mix(probes); err != nil {
		return c, fmt.Errorf("the probes of a cohort: %w", err)
	}
	if c.Mixes.Models, err = mix(models); err != nil {
		return c, fmt.Errorf("the models of a cohort: %w", err)
	}
	return c, nil
}

// cohorts reads cohorts by span, then release, and then their summaries in
// the same order, so that one pass joins them.
func (s *snapshot) cohorts(what string, cohorts, summaries conditions) ([]authority.Cohort, error) {
	all, err := list(s.session, what, "SELECT "+cohortColumns+" FROM cohorts"+cohorts.where()+" ORDER BY span, release", cohorts.args, scanCohort)
	if err != nil {
		return nil, err
	}
	at := 0
	err = s.each(what, "SELECT span, release, metric, data, epochs FROM summaries"+summaries.where()+" ORDER BY span, release", summaries.args,
		func(r row) error {
			var span int64
			var release, metric string
			var data, epochs []byte
			if err := r.Scan(&span, &release, &metric, &data, &epochs); err != nil {
				return err
			}
			for at < len(all) && (all[at].Span != span || all[at].Release != release) {
				at++
			}
			if at == len(all) {
				return fmt.Errorf("the summary of %q has no cohort", metric)
			}
			return addSummary(&all[at], metric, data, epochs)
		})
	if err != nil {
		return nil, err
	}
	return all, nil
}

func addSummary(c *authority.Cohort, metric string, data, epochs []byte) error {
	var summary stats.Summary
	if err := summary.UnmarshalBinary(data); err != nil {
		return fmt.Errorf("the summary of %q: %w", metric, err)
	}
	if c.Metrics == nil {
		c.Metrics = map[string]stats.Summary{}
	}
	c.Metrics[metric] = summary
	counts, err := epochCounts(epochs)
	if err != nil {
		return fmt.Errorf("the epochs of %q: %w", metric, err)
	}
	if counts == nil {
		return nil
	}
	if n, ones := counts.Totals(); n != summary.Count() || ones != summary.Ones() {
		return fmt.Errorf("the epochs of %q do not add up to its summary", metric)
	}
	if c.MetricEpochs == nil {
		c.MetricEpochs = map[string]stats.EpochCounts{}
	}
	c.MetricEpochs[metric] = counts
	return nil
}

// epochCounts reads a column that is NULL where there is nothing to tell apart.
func epochCounts(data []byte) (stats.EpochCounts, error) {
	if data == nil {
		return nil, nil
	}
	var counts stats.EpochCounts
	err := counts.UnmarshalBinary(data)
	return counts, err
}

// epochColumn is what epochCounts reads.
func epochColumn(counts stats.EpochCounts) (any, error) {
	if len(counts) == 0 {
		return nil, nil
	}
	return counts.MarshalBinary()
}

// mix reads a column that is NULL where nothing was counted.
func mix(data []byte) (stats.Mix, error) {
	var m stats.Mix
	if data == nil {
		return m, nil
	}
	err := m.UnmarshalBinary(data)
	return m, err
}

// mixColumn is what mix reads.
func mixColumn(m stats.Mix) (any, error) {
	if m.Count() == 0 {
		return nil, nil
	}
	return m.MarshalBinary()
}

func (t *tx) SaveCohort(c authority.Cohort) error {
	if err := t.hold("save a cohort"); err != nil {
		return err
	}
	epochs, err := epochColumn(c.Epochs)
	if err != nil {
		return fmt.Errorf("store: save the epochs of a cohort: %w", err)
	}
	probes, err := mixColumn(c.Mixes.Probes)
	if err != nil {
		return fmt.Errorf("store: save the probes of a cohort: %w", err)
	}
	models, err := mixColumn(c.Mixes.Models)
	if err != nil {
		return fmt.Errorf("store: save the models of a cohort: %w", err)
	}
	_, err = t.exec("save a cohort", "INSERT INTO cohorts (org, "+cohortColumns+`)
 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (org, app_id, environment, span, release) DO UPDATE
 SET runs = excluded.runs, first_index = excluded.first_index, last_index = excluded.last_index,
     epochs = excluded.epochs, probes = excluded.probes, models = excluded.models`,
		t.org, c.AppID, c.Environment, c.Span, c.Release, c.Runs, c.FirstIndex, c.LastIndex, epochs, probes, models)
	if err != nil {
		return err
	}
	rows := make([][]any, 0, len(c.Metrics))
	for _, metric := range slices.Sorted(maps.Keys(c.Metrics)) {
		data, err := c.Metrics[metric].MarshalBinary()
		if err != nil {
			return fmt.Errorf("store: save the summary of %q: %w", metric, err)
		}
		epochs, err := epochColumn(c.MetricEpochs[metric])
		if err != nil {
			return fmt.Errorf("store: save the epochs of %q: %w", metric, err)
		}
		rows = append(rows, []any{t.org, c.AppID, c.Environment, c.Span, c.Release, metric, data, epochs})
	}
	return t.insert("save the summaries of a cohort", "INSERT INTO summaries (org, app_id, environment, span, release, metric, data, epochs)",
		" ON CONFLICT (org, app_id, environment, span, release, metric) DO UPDATE SET data = excluded.data, epochs = excluded.epochs", rows)
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
