package main

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
)

// The program says where it serves, and ends with whoever started it.
func TestRun(t *testing.T) {
	stdin, end := io.Pipe()
	out, stdout := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- run(nil, stdin, stdout) }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get(strings.TrimSpace(line) + "/_seen")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	_ = resp.Body.Close()
	if err := end.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := run([]string{"--nonsense"}, stdin, io.Discard); err == nil {
		t.Error("--nonsense is an option")
	}
}
