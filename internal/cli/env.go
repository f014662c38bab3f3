package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Env is what a program is given by its surroundings. Commands use it and
// nothing else of the process.
type Env struct {
	// Program is the name of the running program, such as prova-rollout.
	Program string
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Getenv  func(string) string
	// Args are the arguments without the program's name.
	Args []string
}

// Command is how the commands of a family are called in this program: prova
// has them as sub-commands, prova-rollout is one family.
func (e *Env) Command(family string) string {
	if e.Program == "prova" {
		return "prova " + family
	}
	return "prova-" + family
}

// Talk writes a line for people to stderr.
func (e *Env) Talk(format string, args ...any) {
	// Nothing can be done about talk that nobody can read.
	_, _ = fmt.Fprintf(e.Stderr, format+"\n", args...)
}

// Print writes lines of data to stdout.
func (e *Env) Print(text string) error {
	_, err := io.WriteString(e.Stdout, text)
	return err
}

// PrintJSON writes v to stdout as one line. Raw parts keep their bytes, which
// receipts need.
func (e *Env) PrintJSON(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := e.Stdout.Write(b.Bytes())
	return err
}

// Out and Err are the styles of the two outputs.
func (e *Env) Out() Style { return styleOf(e.Stdout, e.Getenv) }

// Err is the style of stderr.
func (e *Env) Err() Style { return styleOf(e.Stderr, e.Getenv) }

// ErrNoAnswer says that nobody is there to ask.
var ErrNoAnswer = errors.New("nobody to ask: stdin is not a terminal")

// Ask asks a person for one line.
func (e *Env) Ask(question string) (string, error) {
	if !IsTerminal(e.Stdin) || !IsTerminal(e.Stderr) {
		return "", ErrNoAnswer
	}
	_, _ = io.WriteString(e.Stderr, question)
	line, err := bufio.NewReader(e.Stdin).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	return strings.TrimSpace(line), nil
}
