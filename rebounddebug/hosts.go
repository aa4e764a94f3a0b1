package rebounddebug

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// known reports whether a request for this host may be answered. A page of another site can have
// its own name point to this machine (DNS rebinding). The browser then takes the other site for
// the origin of what is served here, and shows it to that site's scripts. No name of another site
// is a loopback name or an address. A request without a host is from no browser.
func (o *Options) known(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
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
