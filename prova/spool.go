package prova

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A spool is a directory in which each recorder has one of its own, which only
// it writes, and which it locks as long as it lives:
//
//	<SpoolDir>/go-<app, environment and server>-<random>/lock
//	<SpoolDir>/go-<app, environment and server>-<random>/<time of its first event>-<number>.ndjson
//
// A recorder that starts takes over the directories of its app, environment
// and server that nobody locks any more. Each line of a segment is an object
// with an event and the CRC-32C of its bytes. Segments are only appended to,
// and flushed to the disk after each write. One is removed when the server has
// answered for all of it; a crash before that sends it again, which counts
// nothing twice.

const (
	// segmentBytes is how large a segment grows: it is read back as a whole.
	segmentBytes = 1 << 20
	// spoolPause is how long a spool that failed is left alone.
	spoolPause = time.Second
	lockName   = "lock"
	segmentEnd = ".ndjson"
)

// The frame of a line: it stays one JSON object for other programs.
const (
	lineHead = `{"crc32c":"`
	lineMid  = `","event":`
	lineTail = "}\n"
	crcChars = 8
)

// spoolFile is a segment, a file of the spool.
type spoolFile struct {
	path   string
	events int64
	bytes  int64
}

// spool is the directory that a recorder writes, and those that it took over.
type spool struct {
	dir string
	max int64

	mu sync.Mutex
	// segments are the oldest first; the last one may be open in file.
	segments []*spoolFile
	bytes    int64
	file     *os.File
	number   int
	// locks are held, by directory.
	locks map[string]*os.File
}

// errSpoolFull says that there is no room for more.
var errSpoolFull = errors.New("it is full")

// openSpool makes the recorder's directory. Without one it goes on without a spool.
func (r *Recorder) openSpool() {
	s := &r.settings
	owner := sha256.Sum256([]byte(s.AppID + "\x00" + s.Environment + "\x00" + r.client.BaseURL()))
	dir := filepath.Join(s.SpoolDir, "go-"+hex.EncodeToString(owner[:8])+"-"+newID())
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		var lock *os.File
		if lock, err = lockFile(filepath.Join(dir, lockName), os.O_CREATE); err == nil {
			r.spool = &spool{dir: dir, max: s.SpoolBytes, locks: map[string]*os.File{dir: lock}}
			return
		}
	}
	r.talk.say(ComplaintSpool, "", "the spool cannot be used, so only memory holds what is not sent: "+err.Error())
}

// recover takes over what recorders left that are gone.
func (r *Recorder) recover() {
	if r.spool == nil {
		return
	}
	events, err := r.spool.takeOver()
	if err != nil {
		r.talk.say(ComplaintSpool, "", "what an earlier process left in the spool cannot all be read; it stays there: "+err.Error())
	}
	r.queue.change(func(s *Stats) { s.Recovered += events; s.Spooled += events }, nil)
}

func (s *spool) takeOver() (events int64, err error) {
	base := filepath.Base(s.dir)
	prefix := base[:strings.LastIndexByte(base, '-')+1]
	siblings, err := filepath.Glob(filepath.Join(escapeGlob(filepath.Dir(s.dir)), prefix+"*"))
	var found []*spoolFile
	for _, dir := range siblings {
		if dir == s.dir {
			continue
		}
		lock, lockErr := lockFile(filepath.Join(dir, lockName), 0)
		if errors.Is(lockErr, errLockHeld) || errors.Is(lockErr, os.ErrNotExist) {
			continue
		}
		if lockErr != nil {
			err = errors.Join(err, lockErr)
			continue
		}
		segments, readErr := listSegments(dir)
		err = errors.Join(err, readErr)
		s.locks[dir] = lock
		if found = append(found, segments...); len(segments) == 0 && readErr == nil {
			s.leave(dir)
		}
	}
	slices.SortFunc(found, func(a, b *spoolFile) int { return strings.Compare(filepath.Base(a.path), filepath.Base(b.path)) })
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = append(found, s.segments...)
	for _, seg := range found {
		events += seg.events
		s.bytes += seg.bytes
	}
	return events, err
}

func escapeGlob(dir string) string {
	return strings.NewReplacer(`*`, `[*]`, `?`, `[?]`, `[`, `[[]`).Replace(dir)
}

// listSegments counts the lines of a directory's segments, broken ones too.
func listSegments(dir string) ([]*spoolFile, error) {
	paths, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*"+segmentEnd))
	if err != nil {
		return nil, err
	}
	var segments []*spoolFile
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return segments, err
		}
		if len(data) == 0 { // nothing was written before its process ended
			if err := os.Remove(path); err != nil {
				return segments, err
			}
			continue
		}
		lines := int64(bytes.Count(data, []byte("\n")))
		if data[len(data)-1] != '\n' {
			lines++
		}
		segments = append(segments, &spoolFile{path: path, events: lines, bytes: int64(len(data))})
	}
	return segments, nil
}

// relieve moves the oldest of what waits to the spool when memory fills up.
func (r *Recorder) relieve() {
	for {
		select {
		case <-r.queue.high:
		case <-r.ctx.Done():
			return
		}
		for r.relieveOnce() {
		}
	}
}

// relieveOnce says whether there is more to do.
func (r *Recorder) relieveOnce() bool {
	r.taking.Lock()
	items := r.queue.takeCrowd()
	done := r.intoSpool(items)
	failed := done < len(items)
	if failed {
		r.queue.giveBack(items[done:])
	}
	r.taking.Unlock()
	if failed { // a full disk is not asked again for each run
		select {
		case <-time.After(spoolPause):
		case <-r.ctx.Done():
		}
	}
	return !failed && len(items) > 0
}

// intoSpool writes items that were taken to the disk, and returns how many need no memory any more.
func (r *Recorder) intoSpool(items []*item) (done int) {
	if len(items) == 0 {
		return 0
	}
	lines := make([][]byte, 0, len(items))
	kept := make([]*item, 0, len(items))
	for _, it := range items {
		if r.written(&batch{}, it) {
			lines, kept = append(lines, it.line.data), append(kept, it)
		}
	}
	n, err := r.spool.append(items[0].at, lines)
	r.queue.change(func(s *Stats) { s.Spooled += int64(n) }, kept[:n])
	r.forget(kept[:n])
	if err != nil {
		r.talk.say(ComplaintSpool, "", "the spool takes no more: "+err.Error(), slog.String("dir", r.settings.SpoolDir), slog.Int64("spool_bytes", r.settings.SpoolBytes))
	}
	// Those that were refused are done; of the rest the first n are.
	copy(items[len(items)-(len(kept)-n):], kept[n:])
	return len(items) - (len(kept) - n)
}

// append writes lines, the first of which was recorded at a time, and returns
// how many of them are on the disk.
func (s *spool) append(at time.Time, lines [][]byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n < len(lines) {
		if err := s.openSegment(at); err != nil {
			return n, err
		}
		seg := s.segments[len(s.segments)-1]
		var out []byte
		events := 0
		for n+events < len(lines) && seg.bytes+int64(len(out)) < segmentBytes {
			line := frame(lines[n+events])
			if s.bytes+int64(len(out)+len(line)) > s.max {
				break
			}
			out = append(out, line...)
			events++
		}
		if events == 0 {
			return n, errSpoolFull
		}
		_, err := s.file.Write(out)
		if err = errors.Join(err, s.file.Sync()); err != nil {
			// The end may be torn: nothing is to follow it.
			return n, errors.Join(err, s.closeSegment())
		}
		n += events
		seg.events += int64(events)
		seg.bytes += int64(len(out))
		s.bytes += int64(len(out))
		if seg.bytes >= segmentBytes {
			if err := s.closeSegment(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// openSegment names a file by when its first event was recorded: that is the
// order in which they are read back.
func (s *spool) openSegment(at time.Time) error {
	if s.file != nil {
		return nil
	}
	s.number++
	path := filepath.Join(s.dir, fmt.Sprintf("%020d-%06d%s", at.UnixNano(), s.number, segmentEnd))
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	syncDir(s.dir)
	s.file = file
	s.segments = append(s.segments, &spoolFile{path: path})
	return nil
}

// syncDir makes a new file's name durable where a directory can be flushed.
func syncDir(dir string) {
	if d, err := os.Open(dir); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}

func (s *spool) closeSegment() error {
	if s.file == nil {
		return nil
	}
	err := s.file.Close()
	s.file = nil
	return err
}

func frame(line []byte) []byte {
	out := make([]byte, 0, len(line)+len(lineHead)+crcChars+len(lineMid)+len(lineTail))
	out = fmt.Appendf(out, "%s%08x%s", lineHead, crc(line), lineMid)
	return append(append(out, line...), lineTail...)
}

func crc(line []byte) uint32 { return crc32.Checksum(line, crc32.MakeTable(crc32.Castagnoli)) }

// unframe returns the event of a line, or false if the line is not whole.
func unframe(line []byte) ([]byte, bool) {
	rest, ok := bytes.CutPrefix(line, []byte(lineHead))
	if !ok || len(rest) < crcChars+len(lineMid) {
		return nil, false
	}
	event, ok := bytes.CutPrefix(rest[crcChars:], []byte(lineMid))
	if ok {
		event, ok = bytes.CutSuffix(event, []byte(lineTail))
	}
	return event, ok && fmt.Sprintf("%08x", crc(event)) == string(rest[:crcChars])
}

// fromSpool reads the oldest segment; nil if there is none, or none that can be
// read now: it stays and is tried again.
func (r *Recorder) fromSpool() *batch {
	if r.spool == nil {
		return nil
	}
	for {
		seg, data, err := r.spool.readOldest()
		if seg == nil {
			return nil
		}
		b := &batch{segment: seg}
		broken := int64(0)
		switch {
		case errors.Is(err, os.ErrNotExist):
			broken = seg.events
		case err != nil:
			r.talk.say(ComplaintSpool, "", "a file of the spool cannot be read, and is kept: "+err.Error())
			return nil
		}
		for line := range bytes.Lines(data) {
			if event, ok := unframe(line); ok {
				b.items = append(b.items, &item{line: note{data: event}, size: int64(len(event))})
			} else {
				broken++
			}
		}
		if broken > 0 {
			r.talk.say(ComplaintSpool, "", "a file of the spool is damaged or gone: what of it is there is sent",
				slog.String("file", seg.path), slog.Int64("lost_lines", broken))
		}
		whole := int64(len(b.items))
		r.queue.change(func(s *Stats) {
			// A write that failed may have left more lines than were counted.
			s.Recovered += whole + broken - seg.events
			s.Spooled += whole - seg.events
			s.Dropped += broken
		}, nil)
		seg.events = whole
		if whole > 0 {
			return b
		}
		r.removeSegment(seg)
	}
}

func (s *spool) readOldest() (*spoolFile, []byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.segments) == 0 {
		return nil, nil, nil
	}
	if len(s.segments) == 1 {
		_ = s.closeSegment() // each write was flushed
	}
	data, err := os.ReadFile(s.segments[0].path)
	return s.segments[0], data, err
}

// removeSegment forgets the oldest segment.
func (r *Recorder) removeSegment(seg *spoolFile) {
	s := r.spool
	s.mu.Lock()
	defer s.mu.Unlock()
	s.segments = s.segments[1:]
	s.bytes -= seg.bytes
	if err := os.Remove(seg.path); err != nil && !errors.Is(err, os.ErrNotExist) {
		r.talk.say(ComplaintSpool, "", "a file of the spool cannot be removed, so what is in it is sent again: "+err.Error())
	}
	if dir := filepath.Dir(seg.path); dir != s.dir && !slices.ContainsFunc(s.segments, func(o *spoolFile) bool { return filepath.Dir(o.path) == dir }) {
		s.leave(dir)
	}
}

// leave gives a directory up, and removes it if it is empty.
func (s *spool) leave(dir string) {
	if left, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*"+segmentEnd)); err == nil && len(left) == 0 {
		unlockAndRemove(s.locks[dir])
		_ = os.Remove(dir) // it stays if somebody put something there
	} else {
		_ = s.locks[dir].Close()
	}
	delete(s.locks, dir)
}

// endSegment lets what is written next begin a file of its own.
func (r *Recorder) endSegment() {
	s := r.spool
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.closeSegment(); err != nil {
		r.talk.say(ComplaintSpool, "", "a file of the spool could not be closed: "+err.Error())
	}
}

// closeSpool lets the next recorder have the directories.
func (r *Recorder) closeSpool() {
	s := r.spool
	s.mu.Lock()
	defer s.mu.Unlock()
	for dir := range s.locks {
		s.leave(dir)
	}
}
