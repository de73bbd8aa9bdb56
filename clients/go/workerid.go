package runsvc

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"
)

// maxHost is the length to which the host's name is cut in a worker id, which has at most 128 characters.
const maxHost = 80

// newWorkerID returns an id that no other executor has: host, process id and a random part.
func newWorkerID() string {
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	return fmt.Sprintf("%s-%d-%s", workerHost(host), os.Getpid(), strings.ToLower(rand.Text()[:8]))
}

// workerHost returns a host's name in the characters of an id.
func workerHost(host string) string {
	host = strings.Map(func(r rune) rune {
		isAlphanumeric := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		if isAlphanumeric || r == '.' || r == '-' {
			return r
		}
		return '-'
	}, host)
	host = strings.TrimLeft(host[:min(len(host), maxHost)], ".-")
	if host == "" {
		return "host"
	}
	return host
}
