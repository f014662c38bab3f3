package prova_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cobound/prova/prova"
)

// spoolFiles are the segments below dir, the oldest first.
func spoolFiles(t *testing.T, dir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.ndjson"))
	ok(t, err)
	slices.SortFunc(files, func(a, b string) int { return strings.Compare(filepath.Base(a), filepath.Base(b)) })
	return files
}

// empty wants nothing left below dir.
func empty(t *testing.T, dir string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	ok(t, err)
	if len(left) > 0 {
		t.Errorf("left in the spool: %v", left)
	}
}

// What memory cannot hold goes to the disk and from there to the server, in
// the order in which it was recorded.
func TestSpoolOverflow(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T) {
		server := &fakeServer{always: down}
		rec, log := record(t, server, prova.RecorderOptions{QueueEvents: 100, BatchEvents: 10, SpoolDir: dir})
		var ids []string
		for range 900 {
			ids = append(ids, rec.Record(prova.RunRecord{Metrics: success(), Payload: map[string]any{"input": strings.Repeat("x", 4000)}}))
			pass(50 * time.Millisecond)
		}
		n := rec.Stats()
		if n.Queued > 100 || n.Dropped > 0 || n.Queued+n.Spooled != 900 {
			t.Errorf("the counts are %+v", n)
		}
		if files := spoolFiles(t, dir); len(files) < 3 {
			t.Errorf("the spool is %v", files)
		}
		server.set(nil)
		ok(t, rec.Flush(t.Context()))
		for _, lines := range server.requests {
			if len(lines) > 10 {
				t.Fatalf("%d events were sent together", len(lines))
			}
		}
		wantStats(t, rec, prova.Stats{Recorded: 900, Sent: 900})
		if !slices.Equal(server.runIDs(), ids) {
			t.Error("another order")
		}
		if files := spoolFiles(t, dir); len(files) > 0 {
			t.Errorf("left are %v", files)
		}
		if kinds := slices.Compact(log.kindList()); !slices.Equal(kinds, []string{"unreachable"}) {
			t.Errorf("complained: %s", log.all())
		}
		ok(t, rec.Close(t.Context()))
		empty(t, dir)
	})
}

// A Close that ends in time for nobody leaves everything on disk, and the next
// recorder of this agent sends it, in the same bytes, before what it records itself.
func TestSpoolRestart(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T) {
		server := &fakeServer{always: down}
		first, log := record(t, server, prova.RecorderOptions{SpoolDir: dir, Environment: "staging"})
		var ids []string
		for range 5 {
			ids = append(ids, first.Record(prova.RunRecord{Metrics: success()}))
		}
		pass(time.Minute)
		unsent, _ := errors.AsType[*prova.UnsentError](first.Close(t.Context()))
		if unsent == nil || unsent.Spooled != 5 || unsent.Lost != 0 || unsent.Queued != 0 {
			t.Errorf("the close returned %v", unsent)
		}
		wantStats(t, first, prova.Stats{Recorded: 5, Spooled: 5})
		if said := log.all(); strings.Contains(said, "lost") {
			t.Errorf("said %s", said)
		}
		private(t, dir)
		wrapped(t, spoolFiles(t, dir)[0])
		server.set(nil)
		// Another environment's is not touched.
		other, _ := record(t, server, prova.RecorderOptions{SpoolDir: dir, Environment: "production"})
		ok(t, other.Flush(t.Context()))
		ok(t, other.Close(t.Context()))
		wantStats(t, other, prova.Stats{})
		second, _ := record(t, server, prova.RecorderOptions{SpoolDir: dir, Environment: "staging"})
		ids = append(ids, second.Record(prova.RunRecord{Metrics: success()}))
		ok(t, second.Flush(t.Context()))
		wantStats(t, second, prova.Stats{Recorded: 1, Recovered: 5, Sent: 6})
		if !slices.Equal(server.runIDs(), ids) {
			t.Errorf("sent %v, want %v", server.runIDs(), ids)
		}
		if again := server.requests[len(server.requests)-2]; !slices.Equal(again, server.requests[0]) {
			t.Errorf("sent %v, and from the spool %v", server.requests[0], again)
		}
		ok(t, second.Close(t.Context()))
		empty(t, dir)
	})
}

// private wants nobody else to be able to read what lies in dir.
func private(t *testing.T, dir string) {
	t.Helper()
	ok(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && path != dir {
			info, err := d.Info()
			if err != nil || info.Mode()&0o077 != 0 {
				t.Errorf("%s is %v (%v)", path, info.Mode(), err)
			}
		}
		return err
	}))
}

// wrapped wants each line of a file to be an object that other programs can read.
func wrapped(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	ok(t, err)
	defer func() { _ = f.Close() }()
	lines := 0
	for in := bufio.NewScanner(f); in.Scan(); lines++ {
		var line struct {
			CRC   string `json:"crc32c"`
			Event struct {
				RunID string `json:"run_id"`
			} `json:"event"`
		}
		if err := json.Unmarshal(in.Bytes(), &line); err != nil || len(line.CRC) != 8 || line.Event.RunID == "" {
			t.Errorf("the line is %s (%v)", in.Text(), err)
		}
	}
	if lines != 5 {
		t.Errorf("%d lines", lines)
	}
}

// A spool that was cut off anywhere loses the line that was cut, says so, and
// sends all others.
func TestSpoolTornTail(t *testing.T) {
	dir := t.TempDir()
	var whole []byte
	var path string
	bubble(t, func(t *testing.T) {
		server := &fakeServer{always: down}
		rec, _ := record(t, server, prova.RecorderOptions{SpoolDir: dir})
		for _, id := range []string{"a", "b", "c"} {
			rec.Record(prova.RunRecord{Metrics: success(), RunID: id})
		}
		_ = rec.Close(t.Context())
		path = spoolFiles(t, dir)[0]
		var err error
		whole, err = os.ReadFile(path)
		ok(t, err)
	})
	lines := strings.SplitAfter(string(whole), "\n")
	flipped := strings.Replace(lines[1], `"success":true`, `"success":null`, 1)
	for name, c := range map[string]struct {
		content string
		sent    []string
		lost    int64
	}{
		"whole":              {string(whole), []string{"a", "b", "c"}, 0},
		"torn in the last":   {string(whole[:len(whole)-10]), []string{"a", "b"}, 1},
		"without a line end": {string(whole[:len(whole)-1]), []string{"a", "b"}, 1},
		"torn in the first":  {lines[0][:20], nil, 1},
		"a changed line":     {lines[0] + flipped + lines[2], []string{"a", "c"}, 1},
		"torn in the middle": {lines[0] + lines[1][:30] + lines[2], []string{"a"}, 1},
		"zeros at the end":   {string(whole) + strings.Repeat("\x00", 100), []string{"a", "b", "c"}, 1},
		"empty":              {"", nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			left := filepath.Join(dir, filepath.Base(filepath.Dir(path)))
			ok(t, os.Mkdir(left, 0o700))
			ok(t, os.WriteFile(filepath.Join(left, "lock"), nil, 0o600))
			ok(t, os.WriteFile(filepath.Join(left, filepath.Base(path)), []byte(c.content), 0o600))
			bubble(t, func(t *testing.T) {
				server := &fakeServer{}
				rec, log := record(t, server, prova.RecorderOptions{SpoolDir: dir})
				ok(t, rec.Flush(t.Context()))
				sent := int64(len(c.sent))
				wantStats(t, rec, prova.Stats{Recovered: sent + c.lost, Sent: sent, Dropped: c.lost})
				if !slices.Equal(server.runIDs(), c.sent) {
					t.Errorf("sent %v", server.runIDs())
				}
				if said := strings.Contains(log.all(), fmt.Sprintf("lost_lines=%d", c.lost)); said != (c.lost > 0) {
					t.Errorf("said %s", log.all())
				}
				ok(t, rec.Close(t.Context()))
				empty(t, dir)
			})
		})
	}
}

// A full spool takes no more; then the queue fills, and then what comes is dropped.
func TestSpoolFull(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T) {
		server := &fakeServer{always: down}
		rec, log := record(t, server, prova.RecorderOptions{QueueEvents: 100, BatchEvents: 10, SpoolDir: dir, SpoolBytes: 20_000})
		var ids []string
		for range 1000 {
			ids = append(ids, rec.Record(prova.RunRecord{Metrics: success()}))
			pass(10 * time.Millisecond)
		}
		n := rec.Stats()
		if n.Queued != 100 || n.Spooled < 50 || n.Dropped != 1000-n.Queued-n.Spooled {
			t.Errorf("the counts are %+v", n)
		}
		var size int64
		for _, path := range spoolFiles(t, dir) {
			info, err := os.Stat(path)
			ok(t, err)
			size += info.Size()
		}
		if size > 20_000 || size < 19_000 {
			t.Errorf("the spool has %d bytes", size)
		}
		if kinds := slices.Sorted(slices.Values(log.kindList())); !slices.Equal(kinds, []string{"dropped", "spool", "unreachable"}) {
			t.Errorf("complained: %s", log.all())
		}
		server.set(nil)
		ok(t, rec.Flush(t.Context()))
		if kept := n.Queued + n.Spooled; !slices.Equal(server.runIDs(), ids[:kept]) {
			t.Error("it is not the oldest that were kept, in their order")
		}
	})
}

// A spool that cannot be used is said, and the recorder works without it.
func TestSpoolUnusable(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	ok(t, os.WriteFile(file, nil, 0o600))
	bubble(t, func(t *testing.T) {
		server := &fakeServer{}
		rec, log := record(t, server, prova.RecorderOptions{SpoolDir: file})
		rec.Record(prova.RunRecord{Metrics: success()})
		ok(t, rec.Close(t.Context()))
		wantStats(t, rec, prova.Stats{Recorded: 1, Sent: 1})
		if !slices.Equal(log.kindList(), []string{"spool"}) {
			t.Errorf("complained: %s", log.all())
		}
	})
}

// A file of the spool that cannot be read is kept until it can be; one that is
// gone is lost, counted and told. What is recorded meanwhile is sent.
func TestSpoolUnreadable(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T) {
		server := &fakeServer{always: down}
		rec, log := record(t, server, prova.RecorderOptions{SpoolDir: dir, QueueEvents: 10, BatchEvents: 2})
		for range 10 {
			rec.Record(prova.RunRecord{Metrics: success()})
			pass(time.Millisecond)
		}
		path := spoolFiles(t, dir)[0]
		ok(t, os.Rename(path, path+".away"))
		ok(t, os.Mkdir(path, 0o700))
		server.set(nil)
		spooled := rec.Stats().Spooled
		rec.Record(prova.RunRecord{Metrics: success()})
		unsent, _ := errors.AsType[*prova.UnsentError](rec.Flush(t.Context()))
		if unsent == nil || unsent.Spooled != spooled || unsent.Queued != 0 || !slices.Contains(log.kindList(), "spool") {
			t.Errorf("the flush returned %v; %s", unsent, log.all())
		}
		ok(t, os.Remove(path))
		ok(t, os.Rename(path+".away", path))
		ok(t, rec.Flush(t.Context()))
		wantStats(t, rec, prova.Stats{Recorded: 11, Sent: 11})
	})
}

func TestSpoolGone(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T) {
		server := &fakeServer{always: down}
		rec, log := record(t, server, prova.RecorderOptions{SpoolDir: dir, QueueEvents: 10, BatchEvents: 2})
		for range 10 {
			rec.Record(prova.RunRecord{Metrics: success()})
			pass(time.Millisecond)
		}
		spooled := rec.Stats().Spooled
		for _, path := range spoolFiles(t, dir) {
			ok(t, os.Remove(path))
		}
		server.set(nil)
		ok(t, rec.Flush(t.Context()))
		wantStats(t, rec, prova.Stats{Recorded: 10, Sent: 10 - spooled, Dropped: spooled})
		if spooled == 0 || !strings.Contains(log.all(), fmt.Sprintf("lost_lines=%d", spooled)) {
			t.Errorf("%d were spooled; said %s", spooled, log.all())
		}
	})
}

// Two recorders share a directory: neither touches what the other still writes,
// and what one leaves is taken over by one alone.
func TestSpoolShared(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T) {
		server := &fakeServer{always: down}
		o := prova.RecorderOptions{QueueEvents: 10, BatchEvents: 2, SpoolDir: dir}
		alive, _ := record(t, server, o)
		for range 10 {
			alive.Record(prova.RunRecord{Metrics: success()})
			pass(time.Millisecond)
		}
		before := alive.Stats()
		if before.Spooled == 0 {
			t.Fatalf("nothing is spooled: %+v", before)
		}
		gone, _ := record(t, server, o)
		gone.Record(prova.RunRecord{Metrics: success()})
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_ = gone.Close(short)
		server.set(nil)
		heirs := []*prova.Recorder{}
		for range 4 {
			heir, _ := record(t, server, o)
			heirs = append(heirs, heir)
		}
		recovered := int64(0)
		for _, heir := range heirs {
			ok(t, heir.Flush(t.Context()))
			recovered += heir.Stats().Recovered
		}
		if recovered != 1 {
			t.Errorf("%d were taken over", recovered)
		}
		ok(t, alive.Flush(t.Context()))
		wantStats(t, alive, prova.Stats{Recorded: 10, Sent: 10})
		for _, rec := range append(heirs, alive) {
			ok(t, rec.Close(t.Context()))
		}
		empty(t, dir)
		if n := len(server.runIDs()); n != 11 {
			t.Errorf("%d were signed", n)
		}
	})
}

// A part of a segment that was answered for is not counted twice when the rest is sent later.
func TestSpoolHalfSent(t *testing.T) {
	dir := t.TempDir()
	bubble(t, func(t *testing.T) {
		server := &fakeServer{always: down}
		first, _ := record(t, server, prova.RecorderOptions{SpoolDir: dir})
		for range 4 {
			first.Record(prova.RunRecord{Metrics: success()})
		}
		_ = first.Close(t.Context())
		// The first two are taken; then the server goes away.
		requests := 0
		server.set(func(lines []string) (*http.Response, error) {
			requests++
			if requests > 2 {
				return nil, errors.New("gone")
			}
			return tooLarge(2)(lines)
		})
		second, _ := record(t, server, prova.RecorderOptions{SpoolDir: dir})
		_ = second.Close(t.Context())
		wantStats(t, second, prova.Stats{Recovered: 4, Sent: 2, Spooled: 2})
		server.set(nil)
		third, _ := record(t, server, prova.RecorderOptions{SpoolDir: dir})
		ok(t, third.Close(t.Context()))
		wantStats(t, third, prova.Stats{Recovered: 4, Sent: 4})
		if n := len(server.runIDs()); n != 4 {
			t.Errorf("%d were signed", n)
		}
		empty(t, dir)
	})
}

// killedAgent names the spool of the agent that TestSpoolKilled starts.
const killedAgent = "PROVA_TEST_KILLED_AGENT"

// TestKilledAgent is no test: it is the process that TestSpoolKilled kills.
func TestKilledAgent(t *testing.T) {
	dir := os.Getenv(killedAgent)
	if dir == "" {
		t.Skip("only as a process of its own")
	}
	rec := prova.NewRecorder(prova.RecorderOptions{
		APIKey: "prv_k_s", AppID: "agent", Release: "v1", BaseURL: "http://127.0.0.1:1", SpoolDir: dir, QueueEvents: 20, BatchEvents: 5,
		Logger: slog.New(slog.DiscardHandler),
	})
	for rec.Stats().Spooled < 100 {
		if n := rec.Stats(); n.Queued < 20 {
			rec.Record(prova.RunRecord{Metrics: success(), RunID: fmt.Sprintf("%06d", n.Recorded)})
		}
	}
	fmt.Println("spooled", rec.Stats().Spooled)
	select {}
}

// An agent that is killed leaves what it had spooled, to the one that comes
// after it and to nobody before.
func TestSpoolKilled(t *testing.T) {
	forget(t)
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKilledAgent$")
	cmd.Env = append(os.Environ(), killedAgent+"="+dir)
	out, err := cmd.StdoutPipe()
	ok(t, err)
	ok(t, cmd.Start())
	defer func() { _ = cmd.Process.Kill() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	ok(t, err)
	var spooled int64
	if _, err := fmt.Sscanf(line, "spooled %d", &spooled); err != nil {
		t.Fatalf("the agent said %q", line)
	}
	server := &fakeServer{}
	o := prova.RecorderOptions{SpoolDir: dir, BaseURL: "http://127.0.0.1:1"}
	beside, _ := record(t, server, o)
	ok(t, beside.Close(t.Context()))
	wantStats(t, beside, prova.Stats{})
	ok(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	after, _ := record(t, server, o)
	ok(t, after.Close(t.Context()))
	if n := after.Stats(); n.Recovered < spooled || n.Sent != n.Recovered || n.Dropped > 0 {
		t.Errorf("%d were spooled, and the counts are %+v", spooled, n)
	}
	if ids := server.runIDs(); !slices.IsSorted(ids) {
		t.Errorf("sent in another order: %v", ids)
	}
	empty(t, dir)
}
