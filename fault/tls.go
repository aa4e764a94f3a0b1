package fault

import (
	"reflect"
	"strings"
)

// readTLS reads errors of crypto/tls that say more than that a handshake failed.
func readTLS(t reflect.Type) reader {
	switch {
	case called(t, "crypto/tls", "AlertError"):
		return tlsAlert
	case called(t, "crypto/tls", "RecordHeaderError"):
		text := fieldOf(t, "Msg", isText)
		return func(err error) finding {
			// A wrong record in the middle of a connection was damaged on the way.
			if strings.Contains(text.text(err), "record received") ||
				strings.HasPrefix(text.text(err), "received record") {
				return garbled
			}
			// The peer does not speak TLS, so every further handshake would fail as well.
			return misuse
		}
	}
	return nil
}

// lastingAlerts are the alerts with which the next handshake would end too, because both sides
// would offer the same again. The names are those of RFC 8446, section 6, as crypto/tls writes
// them.
var lastingAlerts = map[string]bool{
	"tls: handshake failure":               true,
	"tls: bad certificate":                 true,
	"tls: unsupported certificate":         true,
	"tls: revoked certificate":             true,
	"tls: expired certificate":             true,
	"tls: unknown certificate":             true,
	"tls: unknown certificate authority":   true,
	"tls: illegal parameter":               true,
	"tls: access denied":                   true,
	"tls: export restriction":              true,
	"tls: protocol version not supported":  true,
	"tls: insufficient security level":     true,
	"tls: inappropriate fallback":          true,
	"tls: missing extension":               true,
	"tls: unsupported extension":           true,
	"tls: certificate unobtainable":        true,
	"tls: unrecognized name":               true,
	"tls: bad certificate status response": true,
	"tls: bad certificate hash value":      true,
	"tls: unknown PSK identity":            true,
	"tls: certificate required":            true,
	"tls: no application protocol":         true,
	"tls: encrypted client hello required": true,
}

// passingAlerts are the alerts of a connection that was damaged or abandoned.
var passingAlerts = map[string]bool{
	"tls: close notify":             true,
	"tls: unexpected message":       true,
	"tls: bad record MAC":           true,
	"tls: decryption failed":        true,
	"tls: record overflow":          true,
	"tls: decompression failure":    true,
	"tls: error decoding message":   true,
	"tls: error decrypting message": true,
	"tls: internal error":           true,
	"tls: user canceled":            true,
	"tls: no renegotiation":         true,
}

// tlsAlert is the meaning of an alert. An alert never proves that nothing was sent, because it may
// come at any time. For example, in TLS 1.3 a server may reject a client's certificate after the
// client has sent its request.
func tlsAlert(alert error) finding {
	// An alert in neither list decides nothing: new alerts are added to TLS from time to time.
	f := finding{rank: hint, detail: "tls alert"}
	if alert == nil {
		return f
	}
	f.detail = alert.Error()
	switch {
	case lastingAlerts[f.detail]:
		f.rank, f.kind = fact, Permanent
	case passingAlerts[f.detail]:
		f.rank, f.kind, f.flags = fact, Transient, connection
	}
	return f
}
