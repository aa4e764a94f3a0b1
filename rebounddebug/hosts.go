package rebounddebug

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// known reports whether a request for this host may be answered. Another site can make its own name
// point to this machine (DNS rebinding). The browser then treats the page served here as part of
// that site, and lets that site's scripts read it. A loopback name or an IP address never belongs
// to another site. A request without a host does not come from a browser.
func (o *Options) known(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	// Host names are case-insensitive, and may end in the dot of the root.
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "" || name == "localhost" || strings.HasSuffix(name, ".localhost") {
		return true
	}
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return true
	}
	return slices.ContainsFunc(o.Hosts, func(h string) bool {
		return strings.EqualFold(strings.TrimSuffix(h, "."), name)
	})
}
