package main

import (
	"context"
	"os"
	"testing"

	"github.com/cobound/prova/internal/cli/clitest"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"prova": func() {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
	}})
}

func TestScripts(t *testing.T) { clitest.Run(t) }
