package reboundriver_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"

	"github.com/rebound-go/rebound"
	"github.com/rebound-go/rebound/backoff"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/internal/daemon"
)

// work is the process of a worker that begins a job but does not end it.
func work(url string) {
	workers := river.NewWorkers()
	river.AddWorker(workers, &worker{work: func(context.Context, *river.Job[args]) error {
		fmt.Println("began")
		select {}
	}})
	pool, err := pgxpool.New(context.Background(), url)
	if err != nil {
		panic(err)
	}
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Queues:  map[string]river.QueueConfig{os.Getenv("REBOUND_TEST_QUEUE"): {MaxWorkers: 1}},
		Workers: workers, Logger: slog.New(slog.DiscardHandler), LeaderElectionDisabled: true,
	})
	if err == nil {
		err = client.Start(context.Background())
	}
	if err != nil {
		panic(err)
	}
	select {}
}

// A process killed with -9 leaves its job running. River's leader rescues the job, which has used
// one attempt then.
func TestKilledWorker(t *testing.T) {
	t.Parallel()
	d := daemon.Require(t, daemon.Postgres) // a database has one leader: that of this test
	migrate(t, d.URL())
	pool, err := pgxpool.New(t.Context(), d.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{})
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Insert(t.Context(), args{"killed"}, &river.InsertOpts{Queue: queueOf(t)})
	if err != nil {
		t.Fatal(err)
	}

	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(exe)
	child.Env = append(os.Environ(), "REBOUND_TEST_WORKER="+d.URL(), "REBOUND_TEST_QUEUE="+queueOf(t))
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "began\n" {
		t.Fatalf("the worker printed %q, %v", line, err)
	}
	_ = child.Process.Kill()
	_ = child.Wait()
	pause(t, 1100*time.Millisecond)

	var calls atomic.Int64
	e := startAt(t, d.URL(), quick(3), func(context.Context, *river.Job[args]) error {
		if calls.Add(1) == 1 {
			return errors.New("flaky")
		}
		return nil
	}, func(c *river.Config) {
		c.JobTimeout, c.RescueStuckJobsAfter = 900*time.Millisecond, time.Second
	})
	job := e.until(res.Job.ID)
	if job.State != rivertype.JobStateCompleted || len(job.Errors) != 2 || calls.Load() != 2 {
		t.Errorf("%s after %d calls with errors %v: want the third attempt of three to succeed",
			job.State, calls.Load(), job.Errors)
	}
}

// pause waits for other processes.
func pause(t *testing.T, d time.Duration) {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	<-ctx.Done()
}

// A server that is killed in the middle loses no job.
func TestServerGone(t *testing.T) {
	t.Parallel()
	d := daemon.Require(t, daemon.Postgres)
	migrate(t, d.URL())
	began, goOn := make(chan struct{}), make(chan struct{})
	var calls atomic.Int64
	e := startAt(t, d.URL(), quick(5), func(context.Context, *river.Job[args]) error {
		if calls.Add(1) == 1 {
			close(began)
			<-goOn
			return errors.New("flaky")
		}
		return nil
	})
	id := e.insert("in the middle").ID
	<-began
	d.Kill()
	if _, err := e.Insert(t.Context(), args{"no server"}, nil); err == nil ||
		!fault.IsConnection(err) {
		t.Errorf("an insert without a server: %v: want the failure of a connection", err)
	}
	if err := d.Run(); err != nil {
		t.Fatal(err)
	}
	close(goOn) // River stores the outcome now
	if job := e.until(id); job.State != rivertype.JobStateCompleted || len(job.Errors) != 1 {
		t.Errorf("%s with errors %v: want a retry", job.State, job.Errors)
	}
}

// A slow server only makes a job slow.
func TestServerSlow(t *testing.T) {
	t.Parallel()
	url := postgres(t)
	slow := daemon.NewProxy(t, strings.TrimSuffix(strings.SplitN(url, "@", 2)[1],
		"/postgres?sslmode=disable"))
	slow.Delay(20 * time.Millisecond)
	var calls atomic.Int64
	e := startAt(t, daemon.PostgresURL(slow.Addr), quick(3),
		func(context.Context, *river.Job[args]) error {
			if calls.Add(1) == 1 {
				return errors.New("flaky")
			}
			return nil
		})
	if job := e.until(e.insert("slow").ID); job.State != rivertype.JobStateCompleted ||
		len(job.Errors) != 1 {
		t.Errorf("%s with errors %v: want a retry", job.State, job.Errors)
	}
}

// A wrong password is a permanent error at once, because no retry fixes it.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	d := daemon.Require(t, daemon.Postgres)
	conn, err := pgx.Connect(t.Context(), d.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, q := range []string{
		"CREATE USER clerk PASSWORD 'right'",
		"ALTER SYSTEM SET password_encryption = 'scram-sha-256'",
		"COPY (SELECT 'host all all 127.0.0.1/32 scram-sha-256') TO '" + d.Dir + "/data/pg_hba.conf'",
		"SELECT pg_reload_conf()",
	} {
		if _, err := conn.Exec(t.Context(), q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
	wrong := strings.Replace(d.URL(), "postgres@", "clerk:wrong@", 1)
	for range 100 { // until the server has read its configuration
		var code *pgconn.PgError
		c, err := pgx.Connect(t.Context(), wrong)
		if err == nil {
			_ = c.Close(t.Context())
			pause(t, 20*time.Millisecond)
			continue
		}
		if !errors.As(err, &code) || code.Code != "28P01" {
			t.Fatalf("a wrong password: %v", err)
		}
		break
	}
	pool, err := pgxpool.New(t.Context(), wrong)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	client, err := river.NewClient(riverpgxv5.New(pool), &river.Config{})
	if err != nil {
		t.Fatal(err)
	}
	calls := 0
	err = rebound.Run(t.Context(), &rebound.Policy{Backoff: backoff.Constant(0)},
		func(ctx context.Context) error {
			calls++
			_, err := client.Insert(ctx, args{"denied"}, nil)
			return err
		})
	if calls != 1 || fault.Of(err).Kind != fault.Permanent || strings.Contains(err.Error(), "wrong@") {
		t.Errorf("%d calls, %v: want one call, a permanent failure, and no password", calls, err)
	}
}
