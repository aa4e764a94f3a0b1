package fault

import (
	"reflect"
	"strings"
)

// readPermanent recognises error types that every further attempt would return too: data that
// cannot be read, invalid addresses, missing programs, certificates that fail. A retry would only
// delay such an error.
func readPermanent(t reflect.Type) reader {
	pkg, name := base(t).PkgPath(), base(t).Name()
	f := finding{rank: fact, kind: Permanent, detail: title(t)}
	switch {
	// The exported types of these packages are errors about the data.
	case strings.HasPrefix(pkg, "encoding/") && name != "" && name[0] <= 'Z', pkg == "strconv":
	case permanentTypes[pkg+"."+name]:
	case pkg+"."+name == "os/exec.Error": // of a program that is not there, or for now not to be run
		f.rank = weak
	case pkg == "crypto/x509", connectTypes[pkg+"."+name]:
		f.sent = NotSent
	default:
		return nil
	}
	// The type alone decides, so the finding is made once.
	return func(error) finding { return f }
}

// permanentTypes are further types of that kind, in packages that also have other errors. They are
// listed by name, because importing the packages would add them to every program.
var permanentTypes = map[string]bool{
	"net/http.MaxBytesError":   true,
	"net/http.ProtocolError":   true,
	"net/url.EscapeError":      true,
	"net/url.InvalidHostError": true,
	"time.ParseError":          true,
}

// connectTypes are those that end a call before anything is sent. A certificate that fails ends the
// handshake; an invalid address ends the dial.
var connectTypes = map[string]bool{
	"crypto/tls.CertificateVerificationError":         true,
	"crypto/tls.ECHRejectionError":                    true,
	"github.com/jackc/pgx/v5/pgconn.ParseConfigError": true,
	"net.AddrError":           true,
	"net.InvalidAddrError":    true,
	"net.ParseError":          true,
	"net.UnknownNetworkError": true,
}
