package reboundriver_test

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/internal/daemon"
	"github.com/rebound-go/rebound/reboundriver"
)

// server is a PostgreSQL server with the tables of River, and stops with the tests.
var server struct {
	sync.Mutex
	*daemon.Daemon
}

func TestMain(m *testing.M) {
	if url := os.Getenv("REBOUND_TEST_WORKER"); url != "" {
		work(url)
		return
	}
	code := m.Run()
	if server.Daemon != nil {
		server.Remove()
	}
	os.Exit(code)
}

// keep gives the server's start to Require, which must not stop a shared server with one test.
type keep struct{ testing.TB }

func (keep) Cleanup(func()) {}

// postgres returns the shared server's URL.
func postgres(t testing.TB) string {
	t.Helper()
	server.Lock()
	defer server.Unlock()
	if server.Daemon == nil {
		server.Daemon = daemon.Require(keep{t}, daemon.Postgres)
		migrate(t, server.URL())
	}
	return server.URL()
}

func migrate(t testing.TB, url string) {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	m, err := rivermigrate.New(riverpgxv5.New(pool), nil)
	if err == nil {
		_, err = m.Migrate(t.Context(), rivermigrate.DirectionUp, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// args are those of a job, whose worker does what the test sets.
type args struct{ Name string }

func (args) Kind() string { return "receipt" }

type worker struct {
	river.WorkerDefaults[args]
	work func(context.Context, *river.Job[args]) error
}

func (w *worker) Work(ctx context.Context, job *river.Job[args]) error { return w.work(ctx, job) }

// engine is a client with its own queue.
type engine struct {
	*river.Client[pgxTx]
	t      testing.TB
	queue  string
	max    int
	pool   *pgxpool.Pool
	events <-chan *river.Event
}

func start(
	t testing.TB, p *rebound.Policy, work func(context.Context, *river.Job[args]) error,
	options ...func(*river.Config),
) *engine {
	t.Helper()
	return startAt(t, postgres(t), p, work, options...)
}

func startAt(
	t testing.TB, url string, p *rebound.Policy,
	work func(context.Context, *river.Job[args]) error, options ...func(*river.Config),
) *engine {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{work: work})
	e := &engine{t: t, queue: queueOf(t), pool: pool,
		max: reboundriver.Policy{Policy: p}.MaxAttempts()}
	config := &river.Config{
		Queues:  map[string]river.QueueConfig{e.queue: {MaxWorkers: 4}},
		Workers: workers, RetryPolicy: reboundriver.Policy{Policy: p},
		Middleware:    []rivertype.Middleware{&reboundriver.Middleware{Policy: p}},
		MaxAttempts:   e.max,
		FetchCooldown: 10 * time.Millisecond, FetchPollInterval: 50 * time.Millisecond,
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, option := range options {
		option(config)
	}
	if e.Client, err = river.NewClient(riverpgxv5.New(pool), config); err != nil {
		t.Fatal(err)
	}
	events, stop := e.Subscribe(river.EventKindJobCompleted, river.EventKindJobCancelled,
		river.EventKindJobSnoozed, river.EventKindJobFailed)
	t.Cleanup(stop)
	e.events = events
	if err := e.Start(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = e.StopAndCancel(ctx)
	})
	return e
}

// queueOf is the name of a test's queue.
func queueOf(t testing.TB) string {
	return fmt.Sprintf("q%x", crc32.ChecksumIEEE([]byte(t.Name())))
}

func (e *engine) insert(name string) *rivertype.JobRow {
	e.t.Helper()
	res, err := e.Insert(e.t.Context(), args{name}, &river.InsertOpts{Queue: e.queue})
	if err != nil {
		e.t.Fatal(err)
	}
	return res.Job
}

// next returns the next event.
func (e *engine) next() *river.Event {
	e.t.Helper()
	select {
	case event := <-e.events:
		return event
	case <-time.After(60 * time.Second):
		e.t.Fatal("there was no event for a minute")
		return nil
	}
}

// until returns the job of the first event that ends it.
func (e *engine) until(id int64) *rivertype.JobRow {
	e.t.Helper()
	for {
		if job := e.next().Job; job.ID == id && job.FinalizedAt != nil {
			return job
		}
	}
}

func snoozes(t testing.TB, job *rivertype.JobRow) int {
	t.Helper()
	var m struct{ Snoozes int }
	if err := json.Unmarshal(job.Metadata, &m); err != nil {
		t.Fatal(err)
	}
	return m.Snoozes
}
