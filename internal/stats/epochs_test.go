package stats_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/cobound/prova/internal/stats"
)

// TestEpochCounts: in whatever order runs come, each epoch keeps its own
// counts, and what is written is read back.
func TestEpochCounts(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		runs := rapid.SliceOfN(rapid.Custom(func(r *rapid.T) [2]int64 {
			return [2]int64{rapid.Int64Range(1, 1<<40).Draw(r, "epoch") >> rapid.IntRange(0, 40).Draw(r, "shift"), rapid.Int64Range(0, 1).Draw(r, "one")}
		}), 1, 50).Filter(func(all [][2]int64) bool {
			return !slices.ContainsFunc(all, func(run [2]int64) bool { return run[0] == 0 })
		}).Draw(r, "runs")
		var counts stats.EpochCounts
		want := map[int64]stats.EpochCount{}
		var ones int64
		for _, run := range runs {
			counts = counts.Add(run[0], 1, run[1])
			c := want[run[0]]
			want[run[0]] = stats.EpochCount{Epoch: run[0], Count: c.Count + 1, Ones: c.Ones + run[1]}
			ones += run[1]
		}
		if n, o := counts.Totals(); n != int64(len(runs)) || o != ones || len(counts) != len(want) {
			r.Fatalf("%d runs, %d ones, %d epochs of %v", n, o, len(counts), runs)
		}
		for i, c := range counts {
			if c != want[c.Epoch] || i > 0 && counts[i-1].Epoch >= c.Epoch {
				r.Fatalf("%v of %v", counts, runs)
			}
		}
		data, err := counts.MarshalBinary()
		if err != nil {
			r.Fatal(err)
		}
		var read stats.EpochCounts
		if err := read.UnmarshalBinary(data); err != nil || !slices.Equal(read, counts) {
			r.Fatalf("%v read as %v, %v", counts, read, err)
		}
	})
}

func TestEpochCountsOf(t *testing.T) {
	if got := stats.EpochCounts(nil).Of(7, 3, 2); !slices.Equal(got, stats.EpochCounts{{Epoch: 7, Count: 3, Ones: 2}}) {
		t.Errorf("%v", got)
	}
	if got := stats.EpochCounts(nil).Of(7, 0, 0); len(got) != 0 {
		t.Errorf("%v", got)
	}
	two := stats.EpochCounts{{1, 1, 0}, {2, 2, 2}}
	if got := two.Of(1, 3, 2); !slices.Equal(got, two) {
		t.Errorf("%v", got)
	}
}

func TestEpochCountsUnmarshalRejects(t *testing.T) {
	for name, data := range map[string][]byte{
		"nothing":         {},
		"another version": {2, 1, 1, 1, 1},
		"no epochs":       {1, 0},
		"epoch 0":         {1, 1, 0, 1, 1},
		"an epoch twice":  {1, 2, 1, 1, 1, 0, 1, 1},
		"more ones":       {1, 1, 1, 1, 2},
		"cut short":       {1, 2, 1, 1, 1},
		"left over":       {1, 1, 1, 1, 1, 0},
		"padded":          {1, 1, 0x81, 0, 1, 1},
	} {
		var read stats.EpochCounts
		if read.UnmarshalBinary(data) == nil || read != nil {
			t.Errorf("%s: read as %v", name, read)
		}
	}
}
