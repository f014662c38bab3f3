//go:build unix

package stats_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"testing"

	"github.com/cobound/prova/internal/stats"
)

// TestBootstrapTiming is this project's part of bench/bootstrap.sh: the
// processor time of a bootstrap of the mean of the values in a file, as lines
// of tab-separated fields: what, values, units drawn by a resample, seconds, lo, hi.
func TestBootstrapTiming(t *testing.T) {
	path := os.Getenv("PROVA_BENCH_VALUES")
	if path == "" {
		t.Skip("run by bench/bootstrap.sh, with PROVA_BENCH_VALUES")
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var values []float64
	for lines := bufio.NewScanner(file); lines.Scan(); {
		v, err := strconv.ParseFloat(lines.Text(), 64)
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	const resamples = 10_000
	var summary stats.Summary
	start := processorTime(t)
	for i, v := range values {
		hash := sha256.Sum256(strconv.AppendInt(nil, int64(i), 10))
		if err := summary.Add(v, binary.BigEndian.Uint64(hash[:])); err != nil {
			t.Fatal(err)
		}
	}
	fmt.Printf("prova: summary built (once, as runs come in)\t%d\t\t%.4f\t\t\n", len(values), processorTime(t)-start)
	for _, c := range []struct {
		what  string
		units []stats.Unit
	}{
		{"prova: groups of units", summary.Units()},
		{"prova: single values", singles(t, values)},
		{"prova: single values", singles(t, values[:1024])},
	} {
		runs := int64(0)
		for _, u := range c.units {
			runs += u.Count
		}
		start := processorTime(t)
		i := stats.BootstrapMeanOne(c.units, 0.95, 1, resamples)
		fmt.Printf("%s\t%d\t%d\t%.4f\t%.3f\t%.3f\n", c.what, runs, len(c.units), processorTime(t)-start, i.Lo, i.Hi)
	}
}

// processorTime is what this process has used, in seconds.
func processorTime(t *testing.T) float64 {
	t.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		t.Fatal(err)
	}
	return float64(usage.Utime.Sec+usage.Stime.Sec) + float64(usage.Utime.Usec+usage.Stime.Usec)/1e6
}
