// Command devserver is a Temporal server in one process, on the loopback interface, with its tables
// in an SQLite file. The tests of reboundtemporal run against it:
//
//	GOWORK=off go -C reboundtemporal/testdata/devserver build -o /tmp/devserver .
//	TEMPORAL_DEVSERVER=/tmp/devserver go test ./reboundtemporal
//
// It is a module outside of the workspace, because Temporal's server has more than a thousand
// packages. A file that is there is used again.
package main

import (
	"fmt"
	"net"
	"os"
	"strconv"

	"github.com/google/uuid"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	"go.temporal.io/server/common/primitives"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
)

const loopback = "127.0.0.1"

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: devserver port file")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "devserver:", err)
		os.Exit(1)
	}
}

// serve runs the server until the process is interrupted.
func serve(port, file string) error {
	front, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	store, err := tables(file)
	if err != nil {
		return err
	}
	services, hosts, err := ports(front)
	if err != nil {
		return err
	}
	s, err := temporal.NewServer(
		temporal.WithConfig(settings(net.JoinHostPort(loopback, port), store, services)),
		temporal.ForServices(temporal.DefaultServices), temporal.WithStaticHosts(hosts),
		temporal.WithLogger(log.NewNoopLogger()), temporal.InterruptOn(temporal.InterruptCh()))
	if err != nil {
		return err
	}
	return s.Start()
}

// tables makes the tables and the namespace default, unless the file has them. Tables in memory
// would be others for each of the server's connection pools.
func tables(file string) (*config.SQL, error) {
	store := &config.SQL{PluginName: sqliteplugin.PluginName, DatabaseName: file,
		ConnectAttributes: map[string]string{"mode": "rwc", "cache": "shared"}}
	if _, err := os.Stat(file); err == nil {
		return store, nil
	}
	ns, err := sqliteschema.NewNamespaceConfig("active", "default", false, nil)
	if err != nil {
		return nil, err
	}
	if err := sqliteschema.SetupSchema(store); err != nil {
		return nil, err
	}
	return store, sqliteschema.CreateNamespaces(store, ns)
}

// ports are where the server's parts find each other.
func ports(front int) (
	map[string]config.Service, map[primitives.ServiceName]static.Hosts, error,
) {
	services := map[string]config.Service{}
	hosts := map[primitives.ServiceName]static.Hosts{}
	for _, name := range []string{"frontend", "history", "matching", "worker"} {
		port, err := freePort()
		if err != nil {
			return nil, nil, err
		}
		if name == "frontend" {
			port = front
		}
		membership, err := freePort()
		if err != nil {
			return nil, nil, err
		}
		services[name] = config.Service{RPC: config.RPC{GRPCPort: port,
			MembershipPort: membership, BindOnLocalHost: true}}
		hosts[primitives.ServiceName(name)] = static.SingleLocalHost(
			net.JoinHostPort(loopback, strconv.Itoa(port)))
	}
	return services, hosts, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).Port, l.Close()
}

func settings(addr string, store *config.SQL, services map[string]config.Service) *config.Config {
	const off = "disabled"
	return &config.Config{
		Persistence: config.Persistence{
			DefaultStore: "s", VisibilityStore: "s", NumHistoryShards: 1,
			DataStores: map[string]config.DataStore{"s": {SQL: store}},
		},
		ClusterMetadata: &cluster.Config{
			FailoverVersionIncrement: 10, MasterClusterName: "active", CurrentClusterName: "active",
			ClusterInformation: map[string]cluster.ClusterInformation{
				"active": {Enabled: true, InitialFailoverVersion: 1,
					ClusterID: uuid.NewString(), RPCAddress: addr},
			},
		},
		DCRedirectionPolicy: config.DCRedirectionPolicy{Policy: "noop"},
		Services:            services,
		Archival: config.Archival{History: config.HistoryArchival{State: off},
			Visibility: config.VisibilityArchival{State: off}},
		NamespaceDefaults: config.NamespaceDefaults{Archival: config.ArchivalNamespaceDefaults{
			History:    config.HistoryArchivalNamespaceDefaults{State: off},
			Visibility: config.VisibilityArchivalNamespaceDefaults{State: off},
		}},
		PublicClient: config.PublicClient{HostPort: addr},
	}
}
