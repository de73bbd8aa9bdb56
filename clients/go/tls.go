package runsvc

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLSConfig returns a configuration for WithTLS from files in PEM format: trusted certificate authorities (empty: those
// of the system), and a client's certificate chain and its key (both empty: none).
func TLSConfig(authorities, certificate, key string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if authorities != "" {
		pem, err := os.ReadFile(authorities)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s contains no certificate in PEM format", authorities)
		}
	}
	if certificate == "" && key == "" {
		return config, nil
	}
	if certificate == "" || key == "" {
		return nil, errors.New("a client certificate needs its certificate and its key, but one of the files is missing")
	}
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("the client certificate %s with the key %s: %w", certificate, key, err)
	}
	config.Certificates = []tls.Certificate{pair}
	return config, nil
}
