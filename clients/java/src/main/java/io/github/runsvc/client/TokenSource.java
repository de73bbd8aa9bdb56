package io.github.runsvc.client;

import io.grpc.Status;
import java.util.function.Supplier;

/** Gives the bearer tokens of a client. */
interface TokenSource {
  /** Returns the token for a call. The empty token is not sent. */
  String token();

  /**
   * Returns a token for the repetition of a call that the server has refused with the given token;
   * null if a repetition cannot succeed.
   */
  String renewed(String refused);

  /** Returns a source of one token. A call that was refused with it is not repeated. */
  static TokenSource of(String token) {
    return new TokenSource() {
      @Override
      public String token() {
        return token;
      }

      @Override
      public String renewed(String refused) {
        return null;
      }
    };
  }

  /** Returns a source that calls a supplier for each token. */
  static TokenSource of(Supplier<String> supplier) {
    return new TokenSource() {
      @Override
      public String token() {
        try {
          String token = supplier.get();
          return token == null ? "" : token;
        } catch (RuntimeException failure) {
          throw noToken(failure);
        }
      }

      @Override
      public String renewed(String refused) {
        String token = token();
        return token.equals(refused) ? null : token;
      }
    };
  }

  /** Returns the failure of a call for which there is no token. The server was not asked. */
  static RunException noToken(Exception cause) {
    String text = "No token: " + cause.getMessage();
    return RunException.of(
        Status.UNAUTHENTICATED.withDescription(text).withCause(cause).asException());
  }
}
