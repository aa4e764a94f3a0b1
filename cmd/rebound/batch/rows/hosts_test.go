package rows

import (
	"net/url"
	"strings"
	"testing"
)

func targets(t testing.TB, base string, allowed ...string) Targets {
	t.Helper()
	var where Targets
	for i, text := range append([]string{base}, allowed...) {
		u, err := url.Parse(text)
		switch {
		case err != nil:
			t.Fatal(err)
		case i == 0 && text != "":
			where.Base = u
		case i > 0:
			where.Allowed = append(where.Allowed, Origin(u))
		}
	}
	return where
}

var resolutions = []struct{ base, ref, want string }{
	{"https://h", "/v1/x", "https://h/v1/x"},
	{"https://h/", "v1/x", "https://h/v1/x"},
	{"https://h/base", "/v1/x?a=b#c", "https://h/base/v1/x?a=b"},
	{"https://h/base/", "v1/x", "https://h/base/v1/x"},
	{"https://h/a%2Fb", "/c", "https://h/a%2Fb/c"},
	{"https://h/a%2Fb", "/c%2Fd", "https://h/a%2Fb/c%2Fd"},
	{"https://h/a", "/models/x:generate", "https://h/a/models/x:generate"},
	{"https://h/a", "/models/x y", "https://h/a/models/x%20y"},
	{"https://h", "https://h/x", "https://h/x"},
	{"https://h", "HTTPS://H:443/x", "https://H:443/x"},
	{"https://h:443", "https://h/x", "https://h/x"},
	{"http://h:80", "http://h/x", "http://h/x"},
	{"https://[::1]:8080", "https://[::1]:8080/x", "https://[::1]:8080/x"},
	{"http://[FE80::A]", "http://[fe80::a]/x", "http://[fe80::a]/x"},
	{"", "https://other/x", "https://other/x"},
	{"", "/x", "missing_base"},

	// Each of these leads to another host, or is ambiguous.
	{"https://h", "//evil.com/x", "foreign_host"},
	{"https://h", "///evil.com/x", "foreign_host"},
	{"https://h", "//h/x", "foreign_host"},
	{"https://h", "http://h/x", "foreign_host"},
	{"https://h", "https://h:8443/x", "foreign_host"},
	{"https://h:8443", "https://h/x", "foreign_host"},
	{"https://h", "https://h./x", "foreign_host"},
	{"https://h", "https://evil.com", "foreign_host"},
	{"https://h", "https://h.evil.com/x", "foreign_host"},
	{"https://h", "https://h@evil.com/x", "invalid_url"},
	{"https://h", "https://user:pass@h/x", "invalid_url"},
	{"https://h", "//h@evil.com/x", "invalid_url"},
	{"https://h", `https://h\@evil.com/x`, "invalid_url"},
	{"https://h", `https:\\evil.com\x`, "foreign_host"},
	{"https://h", "https:evil.com/x", "foreign_host"},
	{"https://h", "https:/evil.com/x", "foreign_host"},
	{"https://h", "https:///evil.com/x", "foreign_host"},
	{"https://h", "https://[::1]/x", "foreign_host"},
	{"https://h", "https://[fe80::1%25eth0]/x", "foreign_host"},
	{"https://h", "http://169.254.169.254/latest/meta-data", "foreign_host"},
	{"https://h", "https://0xA9FEA9FE/", "foreign_host"},
	{"https://h", "file:///etc/passwd", "foreign_host"},
	{"https://h", "file://h/etc/passwd", "foreign_host"},
	{"https://h", "ftp://h/x", "foreign_host"},
	{"https://h", "javascript:alert(1)", "foreign_host"},
	{"https://h", "https://ｈ/x", "foreign_host"},
	{"https://h", "https://%68/x", "invalid_url"},
	{"https://h", "https://h:port/x", "invalid_url"},
	{"https://h", "https://h\n.evil.com/x", "invalid_url"},
	{"https://h", "/%zz", "invalid_url"},
	{"https://h", "", "missing_url"},

	// These look dangerous, and stay at the host.
	{"https://h", `/\evil.com/x`, "https://h/%5Cevil.com/x"},
	{"https://h", `\\evil.com\x`, "https://h/%5C%5Cevil.com%5Cx"},
	{"https://h", "/@evil.com/x", "https://h/@evil.com/x"},
	{"https://h", "/x//evil.com", "https://h/x//evil.com"},
}

func TestResolve(t *testing.T) {
	for _, test := range resolutions {
		got, err := targets(t, test.base, "https://other").resolve(test.ref)
		switch {
		case err != nil && !strings.HasPrefix(err.Error(), test.want+":"):
			t.Errorf("%s with %q: got %v, want %s", test.base, test.ref, err, test.want)
		case err == nil && got.String() != test.want:
			t.Errorf("%s with %q: got %s, want %s", test.base, test.ref, got, test.want)
		}
	}
}

// Any accepted text leads to an allowed host without a user.
func FuzzResolve(f *testing.F) {
	for _, ref := range []string{"/x", "//h", `\\h`, "https://h/x", "http://h:80", "https:h", "file:x",
		"https://[::1]", "/%2F", "?x", "#x", "https://h\\@h"} {
		f.Add(ref)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		u, err := targets(t, "https://h/base", "http://other:8080").resolve(ref)
		if err != nil {
			return
		}
		again, err := url.Parse(u.String())
		if err != nil {
			t.Fatalf("%q leads to %q: %v", ref, u, err)
		}
		switch Origin(again) {
		case "https://h:443", "http://other:8080":
		default:
			t.Fatalf("%q leads to %q", ref, again)
		}
		if u.User != nil || Origin(u) != Origin(again) {
			t.Fatalf("%q leads to %q, which is read as %q", ref, u, again)
		}
	})
}
