package judge_test

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"net/http/httptest"

	"github.com/cobound/prova/api"
	"github.com/cobound/prova/internal/judge"
	"github.com/cobound/prova/internal/judge/judgetest"
)

func Example() {
	endpoint := httptest.NewServer(&judgetest.Endpoint{Mode: judgetest.Fair, Model: "judge-1"})
	defer endpoint.Close()
	asker, err := judge.New(judge.Config{URL: endpoint.URL + "/v1", Model: "judge-1"})
	if err != nil {
		fmt.Println(err)
		return
	}
	page := api.PairList{AppID: "claims-agent", BaselineRelease: "v36", CandidateRelease: "v37", Pairs: []api.Pair{{
		ProbeID: "claim-0017", Input: json.RawMessage(`"Is it covered?"`),
		Baseline: api.PairRun{Output: json.RawMessage(`"No."`)}, Candidate: api.PairRun{Output: json.RawMessage(`"Yes, by section 3. GOOD"`)},
	}}}
	var pages iter.Seq2[api.PairList, error] = func(yield func(api.PairList, error) bool) { yield(page, nil) }
	sum, err := asker.Run(context.Background(), judge.Work{Pages: pages, Record: func(_ context.Context, batch []api.Judgment) error {
		for _, j := range batch {
			fmt.Println(j.ProbeID, j.Verdict)
		}
		return nil
	}})
	fmt.Println(sum.Figures.Wins, "win,", sum.Calls, "calls,", err)
	// Output:
	// claim-0017 candidate
	// 1 win, 2 calls, <nil>
}
