package io.github.runsvc.client;

import io.grpc.util.AdvancedTlsX509KeyManager;
import io.grpc.util.CertificateUtils;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.nio.file.Files;
import java.security.GeneralSecurityException;
import java.security.Principal;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.X509Certificate;
import java.util.List;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.X509ExtendedKeyManager;

/**
 * The client's certificate and its key in PEM files, which are read again for a new connection when
 * they have changed. While they cannot be used, such as between the replacements of the two, the
 * last ones stay.
 */
final class ReloadedKeys extends X509ExtendedKeyManager {
  private final AdvancedTlsX509KeyManager keys = new AdvancedTlsX509KeyManager();
  private final File certificate;
  private final File key;
  private List<FileVersion> read;

  ReloadedKeys(File certificate, File key) throws IOException, GeneralSecurityException {
    this.certificate = certificate;
    this.key = key;
    reread();
  }

  private synchronized void reread() throws IOException, GeneralSecurityException {
    List<FileVersion> present =
        List.of(FileVersion.of(certificate.toPath()), FileVersion.of(key.toPath()));
    if (present.equals(read)) {
      return;
    }
    X509Certificate[] chain;
    PrivateKey secret;
    try (InputStream file = Files.newInputStream(certificate.toPath())) {
      chain = CertificateUtils.getX509Certificates(file);
    }
    try (InputStream file = Files.newInputStream(key.toPath())) {
      secret = CertificateUtils.getPrivateKey(file);
    }
    if (chain.length == 0 || !isPair(secret, chain[0].getPublicKey())) {
      throw new GeneralSecurityException(
          "the certificate " + certificate + " does not belong to the key " + key);
    }
    keys.updateIdentityCredentials(chain, secret);
    read = present;
  }

  private static boolean isPair(PrivateKey secret, PublicKey open) throws GeneralSecurityException {
    String algorithm =
        switch (secret.getAlgorithm()) {
          case "RSA" -> "SHA256withRSA";
          case "EC" -> "SHA256withECDSA";
          default -> secret.getAlgorithm();
        };
    Signature signature = Signature.getInstance(algorithm);
    signature.initSign(secret);
    byte[] signed = signature.sign();
    signature.initVerify(open);
    return signature.verify(signed);
  }

  private AdvancedTlsX509KeyManager present() {
    try {
      reread();
    } catch (IOException | GeneralSecurityException | RuntimeException unusable) {
      // The last ones stay.
    }
    return keys;
  }

  @Override
  public String chooseClientAlias(String[] types, Principal[] issuers, Socket socket) {
    return present().chooseClientAlias(types, issuers, socket);
  }

  @Override
  public String chooseEngineClientAlias(String[] types, Principal[] issuers, SSLEngine engine) {
    return present().chooseEngineClientAlias(types, issuers, engine);
  }

  @Override
  public String[] getClientAliases(String type, Principal[] issuers) {
    return present().getClientAliases(type, issuers);
  }

  @Override
  public X509Certificate[] getCertificateChain(String alias) {
    return keys.getCertificateChain(alias);
  }

  @Override
  public PrivateKey getPrivateKey(String alias) {
    return keys.getPrivateKey(alias);
  }

  @Override
  public String[] getServerAliases(String type, Principal[] issuers) {
    return keys.getServerAliases(type, issuers);
  }

  @Override
  public String chooseServerAlias(String type, Principal[] issuers, Socket socket) {
    return keys.chooseServerAlias(type, issuers, socket);
  }
}
