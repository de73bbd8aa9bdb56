package runsvc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"

	"google.golang.org/grpc/credentials"
)

// TLSConfig returns a configuration for WithTLS from files in PEM format: trusted certificate authorities (empty: those
// of the system), and a client's certificate chain and its key (both empty: none). It reads them once; see WithTLSFiles.
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

// WithTLSFiles encrypts the connection with files as TLSConfig takes them. They are read again for each new connection.
// While they cannot be used, such as between the replacements of a certificate and its key, the last ones are.
func WithTLSFiles(authorities, certificate, key string) Option {
	return func(s *settings) {
		files := &tlsFiles{read: func() (*tls.Config, error) { return TLSConfig(authorities, certificate, key) }}
		_, s.tlsFailure = files.current()
		s.tls = files
	}
}

// tlsFiles are transport credentials that are read from files.
type tlsFiles struct {
	read func() (*tls.Config, error)

	lock sync.Mutex
	last *tls.Config
}

// current returns the configuration in the files, or the last one if the files cannot be used.
func (f *tlsFiles) current() (*tls.Config, error) {
	f.lock.Lock()
	defer f.lock.Unlock()
	config, err := f.read()
	if err == nil {
		f.last = config
	}
	if f.last == nil {
		return nil, err
	}
	return f.last, nil
}

func (f *tlsFiles) ClientHandshake(
	ctx context.Context, authority string, conn net.Conn,
) (net.Conn, credentials.AuthInfo, error) {
	config, err := f.current()
	if err != nil {
		return nil, nil, err
	}
	return credentials.NewTLS(config).ClientHandshake(ctx, authority, conn)
}

func (*tlsFiles) ServerHandshake(net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errors.New("the credentials of a client cannot serve")
}

func (*tlsFiles) Info() credentials.ProtocolInfo {
	return credentials.NewTLS(&tls.Config{MinVersion: tls.VersionTLS12}).Info()
}

func (f *tlsFiles) Clone() credentials.TransportCredentials { return f }

// OverrideServerName is part of the interface, and deprecated there: a dial option sets the authority.
func (*tlsFiles) OverrideServerName(string) error {
	return errors.New("use grpc.WithAuthority to set the name of the server")
}
