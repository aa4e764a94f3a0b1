package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rebound-go/rebound/cmd/rebound/process"
)

// services lists the services that must be ready before the command starts.
type services []*url.URL

// Set adds a service.
func (s *services) Set(text string) error {
	u, err := url.Parse(text)
	switch {
	case err == nil && !validPort(u.Port()):
		return fmt.Errorf("%q has the port %s: want 1 to 65535", text, u.Port())
	case err == nil && u.Scheme == "tcp" && u.Hostname() != "" && u.Port() != "" && u.Path == "":
	case err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "":
	default:
		hint := "want tcp://host:port or http://host/path"
		if _, _, err := net.SplitHostPort(text); err == nil && !strings.Contains(text, "/") {
			hint = fmt.Sprintf("did you mean tcp://%s?", text)
		}
		return fmt.Errorf("%q is not a service: %s", text, hint)
	}
	*s = append(*s, u)
	return nil
}

// validPort reports whether text is a port that a server can have. An empty text stands for the
// default port of the scheme.
func validPort(text string) bool {
	port, err := strconv.ParseUint(text, 10, 16)
	return text == "" || err == nil && port > 0
}

func (s *services) String() string {
	var all []string
	for _, u := range *s {
		all = append(all, u.Redacted())
	}
	return strings.Join(all, " ")
}

// Type is the name of the value in the help.
func (s *services) Type() string { return "URL" }

const (
	probeEvery = 250 * time.Millisecond
	probeLimit = 5 * time.Second // for one answer
	// waitLimit is how long to wait for services if there is no --timeout.
	waitLimit = time.Minute
)

// notReady is the error of a service that was not ready in time.
type notReady struct {
	service *url.URL
	after   time.Duration
	last    error
}

func (e *notReady) Error() string {
	return fmt.Sprintf("%s is not ready after %v: %v", e.service.Redacted(), short(e.after), e.last)
}

// wait returns when all services are ready. If ctx ends first, it returns an error. It prints which
// service it waits for.
func (s services) wait(ctx context.Context, printf func(format string, args ...any)) error {
	began := time.Now()
	for _, u := range s {
		var last error
		for {
			err := probe(ctx, u)
			if err == nil {
				break
			}
			if last == nil {
				printf("waiting for %s: %v", u.Redacted(), err)
			}
			if last == nil || ctx.Err() == nil {
				last = err // but not that ctx cut a probe short, if there is another error
			}
			select {
			case <-ctx.Done():
				if stop := (process.Stop{}); errors.As(context.Cause(ctx), &stop) {
					return stop
				}
				return &notReady{u, time.Since(began), last}
			case <-time.After(probeEvery):
			}
		}
		if last != nil {
			printf("%s is ready after %v", u.Redacted(), short(time.Since(began)))
		}
	}
	return nil
}

// probe connects to a service. An HTTP service must also answer with a status 2xx.
func probe(ctx context.Context, u *url.URL) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	if u.Scheme == "tcp" {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", u.Host)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	var failed *url.Error
	switch {
	case errors.As(err, &failed):
		return failed.Err // messages name the address already
	case err != nil:
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return fmt.Errorf("status %s", resp.Status)
	}
	return nil
}
