package store

import (
	"github.com/cobound/prova/internal/authority"
)

// judgmentConditions selects the judgments on two releases; alias names the table.
func judgmentConditions(org, alias string, f authority.JudgmentFilter) conditions {
	var c conditions
	c.add(alias+"org = ? AND "+alias+"app_id = ? AND "+alias+"environment = ? AND "+alias+"baseline = ? AND "+alias+"candidate = ?",
		org, f.AppID, f.Environment, f.Baseline, f.Candidate)
	return c
}

func (s *snapshot) Judgments(f authority.JudgmentFilter, limit int) ([]authority.JudgmentRecord, error) {
	if limit <= 0 {
		return nil, nil
	}
	c := judgmentConditions(s.org, "j.", f)
	c.add("j.idx >= ?", f.From)
	if f.Before > 0 {
		c.add("j.idx < ?", f.Before)
	}
	order := " ORDER BY j.idx LIMIT ?"
	if f.Newest {
		order = " ORDER BY j.idx DESC LIMIT ?"
	}
	return list(s.session, "list judgments", `SELECT j.idx, j.probe_id, j.judge, j.decided, j.doc,
 CASE WHEN EXISTS (SELECT 1 FROM judgments e WHERE e.org = j.org AND e.app_id = j.app_id AND e.environment = j.environment
   AND e.baseline = j.baseline AND e.candidate = j.candidate AND e.judge = j.judge AND e.probe_id = j.probe_id
   AND e.decided = 1 AND e.idx >= ? AND e.idx < j.idx) THEN 1 ELSE 0 END
 FROM judgments j`+c.where()+order, append(append([]any{f.Since}, c.args...), int64(limit)),
		func(r row) (authority.JudgmentRecord, error) {
			j := authority.JudgmentRecord{AppID: f.AppID, Environment: f.Environment, Baseline: f.Baseline, Candidate: f.Candidate}
			var decided, repeat int64
			err := r.Scan(&j.Index, &j.ProbeID, &j.Judge, &decided, &j.Doc, &repeat)
			j.Decided, j.Repeat = decided == 1, repeat == 1
			return j, err
		})
}

func (s *snapshot) JudgedProbes(f authority.JudgmentFilter, judge string, probes []string) ([]string, error) {
	if len(probes) == 0 {
		return nil, nil
	}
	c := judgmentConditions(s.org, "", f)
	c.add("judge = ? AND decided = 1 AND idx >= ?", judge, f.Since)
	c.addIn("probe_id", probes)
	return list(s.session, "list judged probes", "SELECT DISTINCT probe_id FROM judgments"+c.where(), c.args, scanText)
}

func scanText(r row) (text string, err error) {
	err = r.Scan(&text)
	return text, err
}

func (s *snapshot) Calibration(appID, environment, judge string) (int64, error) {
	return one(s.session, "read a calibration", `SELECT idx FROM calibrations
 WHERE org = ? AND app_id = ? AND environment = ? AND judge = ? ORDER BY idx DESC LIMIT 1`, []any{s.org, appID, environment, judge},
		func(r row) (index int64, err error) {
			err = r.Scan(&index)
			return index, err
		})
}

// ProbeRuns reads one run more than all of the probes can have, to see whether
// the last probe is whole.
func (s *snapshot) ProbeRuns(appID, environment string, releases []string, after string, limit int) ([]authority.ProbeRun, error) {
	if limit <= 0 || len(releases) == 0 {
		return nil, nil
	}
	var c conditions
	c.add("org = ? AND probe_id > ? AND probe_id <> '' AND app_id = ? AND environment = ? AND kind = 'agent_run'", s.org, after, appID, environment)
	c.addIn("release", releases)
	most := limit * len(releases)
	runs, err := list(s.session, "list the runs of probes", "SELECT probe_id, release, MIN(idx) FROM receipts"+c.where()+
		" GROUP BY probe_id, release ORDER BY probe_id, release LIMIT ?", append(c.args, int64(most+1)),
		func(r row) (p authority.ProbeRun, err error) {
			err = r.Scan(&p.ProbeID, &p.Release, &p.Index)
			return p, err
		})
	if err != nil {
		return nil, err
	}
	probes, last := 0, ""
	for i, r := range runs {
		if i > 0 && r.ProbeID == last {
			continue
		}
		if probes++; probes > limit {
			return runs[:i], nil
		}
		last = r.ProbeID
	}
	return runs, nil
}

func scanJob(r row) (j authority.JobRecord, err error) {
	err = r.Scan(&j.ID, &j.RolloutID, &j.Doc)
	return j, err
}

func (s *snapshot) JudgeJob(id string) (authority.JobRecord, error) {
	return one(s.session, "read a judging job", "SELECT id, rollout_id, doc FROM judge_jobs WHERE org = ? AND id = ?", []any{s.org, id}, scanJob)
}

func (s *snapshot) JudgeJobs(rolloutID string, limit int) ([]authority.JobRecord, error) {
	return list(s.session, "list judging jobs", "SELECT id, rollout_id, doc FROM judge_jobs WHERE org = ? AND rollout_id = ? ORDER BY id DESC LIMIT ?",
		[]any{s.org, rolloutID, int64(max(limit, 0))}, scanJob)
}

func (t *tx) AddJudgments(records []authority.JudgmentRecord) error {
	if err := t.hold("add judgments"); err != nil {
		return err
	}
	for _, j := range records {
		decided := int64(0)
		if j.Decided {
			decided = 1
		}
		if _, err := t.exec("add a judgment", `INSERT INTO judgments (org, app_id, environment, baseline, candidate, idx, judge, probe_id, decided, doc)
 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, t.org, j.AppID, j.Environment, j.Baseline, j.Candidate, j.Index, j.Judge, j.ProbeID, decided, j.Doc); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) AddCalibration(appID, environment, judge string, index int64) error {
	if err := t.hold("add a calibration"); err != nil {
		return err
	}
	_, err := t.exec("add a calibration", "INSERT INTO calibrations (org, app_id, environment, judge, idx) VALUES (?, ?, ?, ?, ?)",
		t.org, appID, environment, judge, index)
	return err
}

func (t *tx) SaveJudgeJob(j authority.JobRecord) error {
	_, err := t.exec("save a judging job", `INSERT INTO judge_jobs (org, id, rollout_id, doc) VALUES (?, ?, ?, ?)
 ON CONFLICT (org, id) DO UPDATE SET doc = excluded.doc`, t.org, j.ID, j.RolloutID, j.Doc)
	return err
}
