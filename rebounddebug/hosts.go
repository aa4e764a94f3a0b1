package rebounddebug

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// known reports whether a request for this host is served. Another site can make its own name
// resolve to this machine (DNS rebinding). A browser would then treat this page as part of that
// site, and that site's scripts could read it. A loopback name or an IP address never belongs to
// another site. Browsers always send a host.
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
