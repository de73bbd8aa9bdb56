package runsvc

import (
	"errors"
	"strings"

	"google.golang.org/grpc"
	_ "google.golang.org/grpc/health" // Enables the health checks of the service config.
	"google.golang.org/grpc/resolver"
)

// balancingConfig spreads calls and watches over the addresses of a target. An address whose server is not reachable,
// or reports by grpc.health.v1 that it does not serve, gets none.
const balancingConfig = `{"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": ""}}`

// balancing returns the options for a target that stands for several servers: a name (dns:///runs:50051) or a list of
// addresses (ipv4:10.0.0.1:50051,10.0.0.2:50051). It returns none for others.
func balancing(target string) []grpc.DialOption {
	scheme, list, _ := strings.Cut(target, ":")
	switch {
	case scheme == "dns":
		return []grpc.DialOption{grpc.WithDefaultServiceConfig(balancingConfig)}
	case scheme != "ipv4" && scheme != "ipv6":
		return nil
	}
	options := []grpc.DialOption{grpc.WithResolvers(addressList(scheme))}
	if strings.Contains(list, ",") {
		options = append(options, grpc.WithDefaultServiceConfig(balancingConfig))
	}
	return options
}

// addressList resolves the scheme ipv4 or ipv6, which gRPC for Go does not know: the target lists its addresses.
type addressList string

func (l addressList) Scheme() string { return string(l) }

func (addressList) Build(
	target resolver.Target, conn resolver.ClientConn, _ resolver.BuildOptions,
) (resolver.Resolver, error) {
	var endpoints []resolver.Endpoint
	for address := range strings.SplitSeq(target.Endpoint(), ",") {
		if address == "" {
			return nil, errors.New("the target has an empty address; list them as ipv4:10.0.0.1:50051,10.0.0.2:50051")
		}
		endpoints = append(endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: address}}})
	}
	return fixed{}, conn.UpdateState(resolver.State{Endpoints: endpoints})
}

// OverrideAuthority returns the name that a server's certificate must have: the first address.
func (addressList) OverrideAuthority(target resolver.Target) string {
	first, _, _ := strings.Cut(target.Endpoint(), ",")
	return first
}

// fixed is a resolver whose addresses do not change.
type fixed struct{}

func (fixed) ResolveNow(resolver.ResolveNowOptions) {}
func (fixed) Close()                                {}
