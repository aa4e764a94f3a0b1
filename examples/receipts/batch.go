package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// This file has -export and -serve, which let `rebound batch` use the receipts and the services.

// row is a line of a batch's input. Its Idempotency-Key makes a repeat safe.
type row struct {
	ID      string            `json:"custom_id"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers"`
	Body    scanned           `json:"body"`
}

// scanned is the body of a request to one of the services.
type scanned struct {
	Image []byte `json:"image,omitempty"` // as base64
	Text  string `json:"text,omitempty"`  // in place of Image
}

// export writes a row for each receipt, for the OCR service.
func export(path string, receipts []receipt) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriter(f)
	enc := json.NewEncoder(w)
	for _, r := range receipts {
		if err := enc.Encode(row{
			ID: r.id, URL: "/ocr/" + r.id, Headers: map[string]string{"Idempotency-Key": r.id},
			Body: scanned{Image: r.image},
		}); err != nil {
			return err
		}
	}
	return w.Flush()
}

// serve serves both services, /ocr/ID and /vision/ID, until ctx ends.
func serve(ctx context.Context, cfg config, stdout io.Writer) error {
	l, err := net.Listen("tcp", cfg.serve)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: batchServices(cfg), ReadHeaderTimeout: 10 * time.Second}
	defer context.AfterFunc(ctx, func() { _ = s.Close() })()
	fmt.Fprintf(stdout, "OCR at http://%[1]s/ocr/ID, vision at http://%[1]s/vision/ID\n", l.Addr())
	if err := s.Serve(l); ctx.Err() == nil {
		return err
	}
	return nil
}

// batchServices returns the services for a batch. A batch does not check its answers, so no answer
// is misread or truncated. An outage ends for each receipt after three requests.
func batchServices(cfg config) http.Handler {
	mux := http.NewServeMux()
	for _, s := range []*service{ocrService(cfg), visionService(cfg)} {
		s.arrivals, s.count = make(map[string]int), make(map[string]int)
		s.downFor = 3
		var left []mishap
		for _, m := range s.mishaps {
			if m.name != truncated && m.name != misread {
				left = append(left, m)
			}
		}
		s.mishaps = left
		mux.Handle("POST /"+s.name+"/", http.StripPrefix("/"+s.name, unpacked(s)))
	}
	return mux
}

// unpacked replaces a JSON body by the image or the text in it.
func unpacked(s *service) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body scanned
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, "want {\"image\": base64} or {\"text\": …}", http.StatusBadRequest)
			return
		}
		if body.Image == nil {
			body.Image = []byte(body.Text)
		}
		r.Body = io.NopCloser(bytes.NewReader(body.Image))
		w.Header().Set("Content-Type", "application/json")
		s.ServeHTTP(w, r)
	})
}

// forBatch carries out -export and -serve, and returns the exit code.
func forBatch(ctx context.Context, cfg config, stdout, stderr io.Writer) int {
	var err error
	if cfg.export != "" {
		var receipts []receipt
		if receipts, _, err = load(cfg.receipts); err == nil {
			err = export(cfg.export, receipts)
		}
	}
	if err == nil && cfg.serve != "" {
		err = serve(ctx, cfg, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "receipts: %v\n", err)
		return exitWrong
	}
	return exitOK
}
