package reboundredis_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/rebound-go/rebound/breaker"
	"github.com/rebound-go/rebound/fault"
	"github.com/rebound-go/rebound/reboundredis"
)

// authority is a certificate that signs itself and is good for a server and a client.
type authority struct {
	cert, key string // files
	pool      *x509.CertPool
	pair      tls.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis"}, IsCA: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "rebound-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	a := &authority{cert: filepath.Join(dir, "cert"), key: filepath.Join(dir, "key"),
		pool: x509.NewCertPool()}
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	secret := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	a.pool.AppendCertsFromPEM(cert)
	if a.pair, err = tls.X509KeyPair(cert, secret); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{a.cert: cert, a.key: secret} {
		if err := os.WriteFile(name, data, 0o644); err != nil { // the server has another user
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return a
}

// A connection by TLS works. A permanent mistake in it is an error, not an outage.
func TestTLS(t *testing.T) {
	own, other := newAuthority(t), newAuthority(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	secure := l.Addr().String()
	_, port, _ := net.SplitHostPort(secure)
	_ = l.Close()
	s := start(t, "--tls-port", port, "--tls-cert-file", own.cert, "--tls-key-file", own.key,
		"--tls-ca-cert-file", own.cert, "--tls-auth-clients", "yes")
	for _, row := range []struct {
		name   string
		config *tls.Config
		want   bool
	}{
		{"good", &tls.Config{RootCAs: own.pool,
			Certificates: []tls.Certificate{own.pair}}, true},
		{"another authority", &tls.Config{RootCAs: other.pool,
			Certificates: []tls.Certificate{own.pair}}, false},
		{"no certificate", &tls.Config{RootCAs: own.pool}, false},
		{"an unknown certificate", &tls.Config{RootCAs: own.pool,
			Certificates: []tls.Certificate{other.pair}}, false},
		{"no certificate, TLS 1.2", &tls.Config{RootCAs: own.pool,
			MaxVersion: tls.VersionTLS12}, false},
		{"another name", &tls.Config{RootCAs: own.pool, ServerName: "localhost",
			Certificates: []tls.Certificate{own.pair}}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := &reboundredis.Rate{
				Key: row.name, N: 1, Per: time.Hour, Local: share(10), Timeout: patient,
				Client: s.client(func(o *redis.Options) { o.Addr, o.TLSConfig = secure, row.config }),
			}
			err := take(r)
			if row.want {
				if err != nil || r.Snapshot().Level > 0.5 {
					t.Errorf("got %v, level %v", err, r.Snapshot().Level)
				}
				return
			}
			var e *reboundredis.Error
			if !errors.As(err, &e) || fault.Of(err).Kind != fault.Permanent ||
				r.Local.Snapshot().Level != 10 {
				t.Errorf("got %v, local level %v; want an error", err, r.Local.Snapshot().Level)
			}
			v := &reboundredis.Verdicts{Client: r.Client.(*redis.Client), Key: "k"}
			if err := v.Start(t.Context(), &breaker.Breaker{}); !errors.As(err, &e) {
				t.Errorf("Start: %v, want an error", err)
			}
			v.Close()
		})
	}
}
