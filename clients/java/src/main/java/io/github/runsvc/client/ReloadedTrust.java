package io.github.runsvc.client;

import io.grpc.util.AdvancedTlsX509TrustManager;
import io.grpc.util.CertificateUtils;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.file.Files;
import java.security.GeneralSecurityException;
import java.security.cert.CertificateException;
import java.security.cert.X509Certificate;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.X509ExtendedTrustManager;

/**
 * Trusted certificate authorities in a PEM file, which is read again for a new connection when it
 * has changed. While it cannot be used, the last ones stay.
 */
final class ReloadedTrust extends X509ExtendedTrustManager {
  private final AdvancedTlsX509TrustManager trust;
  private final File authorities;
  private FileVersion read;

  ReloadedTrust(File authorities) throws IOException, GeneralSecurityException {
    this.authorities = authorities;
    this.trust = AdvancedTlsX509TrustManager.newBuilder().build();
    reread();
  }

  private synchronized void reread() throws IOException, GeneralSecurityException {
    FileVersion present = FileVersion.of(authorities.toPath());
    if (present.equals(read)) {
      return;
    }
    X509Certificate[] found;
    try (InputStream file = Files.newInputStream(authorities.toPath())) {
      found = CertificateUtils.getX509Certificates(file);
    }
    if (found.length == 0) {
      throw new CertificateException(authorities + " contains no certificate in PEM format");
    }
    trust.updateTrustCredentials(found);
    read = present;
  }

  private AdvancedTlsX509TrustManager present() {
    try {
      reread();
    } catch (IOException | GeneralSecurityException | RuntimeException unusable) {
      // The last ones stay.
    }
    return trust;
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine)
      throws CertificateException {
    present().checkServerTrusted(chain, type, engine);
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket)
      throws CertificateException {
    present().checkServerTrusted(chain, type, socket);
  }

  @Override
  public void checkServerTrusted(X509Certificate[] chain, String type) throws CertificateException {
    present().checkServerTrusted(chain, type);
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine)
      throws CertificateException {
    trust.checkClientTrusted(chain, type, engine);
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket)
      throws CertificateException {
    trust.checkClientTrusted(chain, type, socket);
  }

  @Override
  public void checkClientTrusted(X509Certificate[] chain, String type) throws CertificateException {
    trust.checkClientTrusted(chain, type);
  }

  @Override
  public X509Certificate[] getAcceptedIssuers() {
    return present().getAcceptedIssuers();
  }
}
