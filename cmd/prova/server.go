package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/cobound/prova/internal/anchor"
	"github.com/cobound/prova/internal/authority"
	"github.com/cobound/prova/internal/dashboard"
	"github.com/cobound/prova/internal/httpapi"
	"github.com/cobound/prova/internal/keyfile"
	"github.com/cobound/prova/internal/store"
	"github.com/cobound/prova/internal/webhook"
	"github.com/cobound/prova/internal/witness"
	"github.com/cobound/prova/receipt"
)

// settings are what a server is started with.
type settings struct {
	addr         string
	data         string
	databaseURL  string
	ownerKey     string // presets the owner's key; empty makes one
	passphrase   []byte // of the key files; empty if they are not encrypted
	origin       string
	allowCIDRs   []netip.Prefix
	witnesses    []authority.Witness
	judge        authority.Judger // nil without one
	deliveryLoop bool
	tickEvery    time.Duration
	log          *slog.Logger
}

// server is a running server.
type server struct {
	settings
	authority *authority.Authority
	store     *store.Store
	http      *http.Server
	listener  net.Listener
	// url is where the server answers.
	url string
	// owner is the owner's key and created whether this start made it.
	owner   string
	created bool
	served  chan error
	loops   context.CancelFunc
	ended   chan struct{}
	// scrubbed ends with the scrub at start.
	scrubbed chan struct{}
	// beside are the loops that ask witnesses and the judge.
	beside sync.WaitGroup
}

// drainTime is how long requests under way may take after a signal to stop.
const drainTime = 20 * time.Second

// start opens the data directory and the database, makes what a first start
// makes, and serves.
func start(ctx context.Context, s settings) (*server, error) {
	if err := os.MkdirAll(s.data, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	srv := &server{settings: s, served: make(chan error, 1), ended: make(chan struct{}), scrubbed: make(chan struct{})}
	var err error
	if s.databaseURL != "" {
		srv.store, err = store.OpenPostgres(ctx, s.databaseURL, s.log)
	} else {
		srv.store, err = store.OpenSQLite(ctx, filepath.Join(s.data, "prova.db"), s.log)
	}
	if err != nil {
		return nil, err
	}
	if err := srv.begin(ctx); err != nil {
		return nil, errors.Join(err, srv.store.Close())
	}
	return srv, nil
}

func (s *server) begin(ctx context.Context) error {
	program, _ := built()
	files := keyfile.Dir{Path: s.data, Passphrase: s.passphrase}
	keys, err := files.Load()
	if err != nil {
		return err
	}
	signer, err := receipt.NewSigner(keys.Receipt)
	if err != nil {
		return err
	}
	s.listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("cannot listen on %s: %w", s.addr, err)
	}
	s.url = "http://" + reachable(s.listener.Addr())
	s.authority, err = authority.New(authority.Config{
		Store:     s.store,
		Deliverer: webhook.New(webhook.Options{AllowCIDRs: s.allowCIDRs, AllowLoopback: loopback(s.listener.Addr()), UserAgent: "prova/" + program}),
		Signer:    signer, KeyRing: files, CheckpointKey: keys.Checkpoint, Origin: s.origin, Now: time.Now,
		Random: func(p []byte) { _, _ = rand.Read(p) }, // never fails: crypto/rand ends the program instead
		Anchor: anchor.In(s.data), Witnesses: s.witnesses, WitnessClient: witness.NewClient(witness.ClientOptions{UserAgent: "prova/" + program}),
		Judger: s.judge, Log: s.log,
	})
	if err == nil {
		err = s.bootstrap(ctx)
	}
	if err == nil {
		err = s.handle(program)
	}
	if err != nil {
		return errors.Join(err, s.listener.Close())
	}
	s.http.ErrorLog = slog.NewLogLogger(s.log.Handler(), slog.LevelWarn)
	go func() { s.served <- s.http.Serve(s.listener) }()
	loops, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.loops = cancel
	go s.run(loops)
	go s.scrub(loops)
	s.witness(loops)
	s.beside.Go(func() { s.authority.JudgeLoop(loops) })
	return nil
}

// handle makes the HTTP server: the pages at their paths, the API everywhere else.
func (s *server) handle(program string) error {
	s.http = httpapi.Server(httpapi.New(httpapi.Options{Cases: s.authority, Log: s.log, Version: program}))
	database := "SQLite, in the data directory"
	if s.databaseURL != "" {
		database = "PostgreSQL"
	}
	pages, err := dashboard.New(dashboard.Options{
		Cases: s.authority, Log: s.log, Now: time.Now, Version: program, Index: s.http.Handler,
		Server: dashboard.Server{Database: database, DeliveryLoop: s.deliveryLoop, TickEvery: s.tickEvery},
	})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle("/", s.http.Handler)
	pages.Mount(mux)
	s.http.Handler = mux
	s.http.RegisterOnShutdown(pages.Drain)
	return nil
}

// bootstrap makes the org, publishes the keys and keeps the owner's key in a
// file. A crash between the file and the database leaves a file whose key the
// next start uses, so the file comes first.
func (s *server) bootstrap(ctx context.Context) error {
	s.owner = s.ownerKey
	first, err := s.authority.NeedsOwner(ctx)
	if err != nil {
		return err
	}
	if first {
		if s.owner, err = keepOwnerKey(filepath.Join(s.data, "owner-key"), s.owner, s.authority.ProposeKey); err != nil {
			return fmt.Errorf("owner key: %w", err)
		}
	}
	s.created, err = s.authority.Bootstrap(ctx, s.owner)
	return err
}

// keepOwnerKey settles the owner's key of a first start: the preset one, else
// the one in the file, else a new one; and sees to it that the file holds it.
func keepOwnerKey(path, preset string, propose func() string) (string, error) {
	kept, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	found := strings.TrimSpace(string(kept))
	switch {
	case found == "" && preset == "":
		preset = propose()
	case found != "" && preset == "":
		return found, nil
	case found == preset:
		return preset, nil
	}
	if err == nil {
		if err := os.Remove(path); err != nil {
			return "", err
		}
	}
	return preset, keyfile.WriteSecret(path, []byte(preset+"\n"))
}

// anchorEvery is how often the heads of the logs are kept outside the database
// while no checkpoint is asked for: what a database could lose unnoticed if the
// server stops too.
const anchorEvery = 10 * time.Second

// run delivers what is due, keeps the anchor and ticks if it was asked to, until ctx ends.
func (s *server) run(ctx context.Context) {
	defer close(s.ended)
	deliver, tick := make(<-chan time.Time), make(<-chan time.Time)
	if s.deliveryLoop {
		t := time.NewTicker(time.Second)
		defer t.Stop()
		deliver = t.C
	}
	if s.tickEvery > 0 {
		t := time.NewTicker(s.tickEvery)
		defer t.Stop()
		tick = t.C
	}
	anchors := time.NewTicker(anchorEvery)
	defer anchors.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-anchors.C:
			if err := s.authority.MoveAnchors(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("the heads of the logs were not kept", "error", err)
			}
		case <-deliver:
			if _, err := s.authority.DeliverDue(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("delivery loop", "error", err)
			}
		case <-tick:
			if err := s.authority.TickAll(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("tick loop", "error", err)
			}
		}
	}
}

const (
	// signEvery is how often a log that grew is signed for the witnesses, if nobody asked for a checkpoint meanwhile.
	signEvery = time.Minute
	// askEvery is how often is looked for checkpoints that a witness has not cosigned.
	askEvery = time.Second
)

// witness starts what asks the witnesses, until ctx ends: one loop for each, so
// that one that does not answer holds nothing up but itself.
func (s *server) witness(ctx context.Context) {
	if len(s.witnesses) == 0 {
		return
	}
	s.beside.Go(func() {
		repeat(ctx, signEvery, func() {
			if err := s.authority.SignHeads(ctx); err != nil && ctx.Err() == nil {
				s.log.Error("a log was not signed for the witnesses", "error", err)
			}
		})
	})
	for _, w := range s.witnesses {
		s.beside.Go(func() {
			repeat(ctx, askEvery, func() {
				if _, err := s.authority.AskWitness(ctx, w); err != nil && ctx.Err() == nil {
					s.log.Error("witness loop", "witness", w.Name(), "error", err)
				}
			})
		})
	}
}

// repeat calls fn now and at every tick until ctx ends.
func repeat(ctx context.Context, every time.Duration, fn func()) {
	t := time.NewTicker(every)
	defer t.Stop()
	for {
		fn()
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// scrub verifies what is stored, once, beside everything else.
func (s *server) scrub(ctx context.Context) {
	defer close(s.scrubbed)
	if err := s.authority.ScrubAll(ctx); err != nil && ctx.Err() == nil {
		s.log.Error("the scrub of the logs broke off", "error", err)
	}
}

// stop lets requests under way finish, then closes the database.
func (s *server) stop() error {
	s.loops()
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("requests were cut off", "after", drainTime.String())
		err = s.http.Close()
	}
	<-s.ended
	<-s.scrubbed
	s.beside.Wait()
	keeping, end := context.WithTimeout(context.Background(), drainTime)
	defer end()
	return errors.Join(err, s.authority.MoveAnchors(keeping), s.store.Close())
}

func loopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// reachable is an address to connect to: a listener on all addresses is reached over loopback.
func reachable(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return a.String()
	}
	return net.JoinHostPort("127.0.0.1", fmt.Sprint(tcp.Port))
}
