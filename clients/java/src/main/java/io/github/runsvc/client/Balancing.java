package io.github.runsvc.client;

import io.grpc.EquivalentAddressGroup;
import io.grpc.ManagedChannelBuilder;
import io.grpc.NameResolver;
import io.grpc.NameResolverProvider;
import io.grpc.NameResolverRegistry;
import io.grpc.StatusOr;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.URI;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;

/**
 * Spreads calls and watches over the addresses of a target that stands for several servers. An
 * address whose server is not reachable, or reports by grpc.health.v1 that it does not serve, gets
 * none.
 */
final class Balancing {
  private static final Map<String, ?> CONFIG =
      Map.of(
          "loadBalancingConfig", List.of(Map.of("round_robin", Map.of())),
          "healthCheckConfig", Map.of("serviceName", ""));

  static {
    for (String scheme : List.of("ipv4", "ipv6")) {
      NameResolverRegistry.getDefaultRegistry().register(new Addresses(scheme));
    }
  }

  private Balancing() {}

  /** Configures a channel to the target. */
  static void configure(String target, ManagedChannelBuilder<?> channel) {
    boolean isList = target.matches("ipv[46]:.*,.*");
    if (isList || target.startsWith("dns:")) {
      channel.defaultServiceConfig(CONFIG);
    }
  }

  /** Resolves the schemes ipv4 and ipv6, which gRPC for Java does not know: targets list them. */
  private static final class Addresses extends NameResolverProvider {
    private final String scheme;

    Addresses(String scheme) {
      this.scheme = scheme;
    }

    @Override
    public NameResolver newNameResolver(URI target, NameResolver.Args arguments) {
      return scheme.equals(target.getScheme())
          ? new Fixed(target.getSchemeSpecificPart().split(","))
          : null;
    }

    @Override
    public String getDefaultScheme() {
      return scheme;
    }

    @Override
    protected boolean isAvailable() {
      return true;
    }

    @Override
    protected int priority() {
      // Below that of gRPC for Java, in case it resolves them one day. It must not be the default
      // for other targets.
      return 1;
    }

    @Override
    public Collection<Class<? extends SocketAddress>> getProducedSocketAddressTypes() {
      return List.of(InetSocketAddress.class);
    }
  }

  /** Addresses that do not change. */
  private static final class Fixed extends NameResolver {
    private final String[] addresses;

    Fixed(String[] addresses) {
      this.addresses = addresses;
    }

    @Override
    public String getServiceAuthority() {
      return addresses[0];
    }

    @Override
    public void start(Listener2 listener) {
      List<EquivalentAddressGroup> servers = new ArrayList<>();
      for (String address : addresses) {
        URI server = URI.create("//" + address);
        if (server.getHost() == null || server.getPort() < 0) {
          throw new IllegalArgumentException(
              "The target has the address '" + address + "'; use address:port");
        }
        servers.add(
            new EquivalentAddressGroup(new InetSocketAddress(server.getHost(), server.getPort())));
      }
      listener.onResult(
          ResolutionResult.newBuilder().setAddressesOrError(StatusOr.fromValue(servers)).build());
    }

    @Override
    public void shutdown() {}
  }
}
