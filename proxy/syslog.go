package proxy

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"go.uber.org/zap"

	"github.com/caregate/caregate/audit/syslog"
)

// Syslog is a collector that the audit log is sent to.
type Syslog struct {
	// Address is host and port.
	Address string `json:"address"`
	// CA is a file of the certificates that vouch for the collector. Default: those of
	// the system.
	CA string `json:"ca,omitempty"`
	// Cert and Key are files by which the gateway shows who it is. Default none.
	Cert string `json:"cert,omitempty"`
	Key  string `json:"key,omitempty"`
}

// parseSyslog reads
//
//	syslog tls://<host>[:<port>] {
//		ca          <file>
//		client_cert <file> <key file>
//	}
func parseSyslog(d *caddyfile.Dispenser, folder string) (Syslog, error) {
	const example = "syslog wants the address of a collector, for example: syslog tls://siem.example.com:6514"
	var s Syslog
	if !d.NextArg() {
		return s, d.Err(example)
	}
	u, err := url.Parse(d.Val())
	if err != nil || u.Scheme != "tls" || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return s, d.Err(example + "; the log is not sent in the clear")
	}
	port := u.Port()
	if port == "" {
		port = "6514" // RFC 5425, section 4.1
	}
	s.Address = net.JoinHostPort(u.Hostname(), port)
	for d.NextBlock(1) {
		switch option := d.Val(); option {
		case "ca":
			if !d.Args(&s.CA) {
				return s, d.Err("ca wants the file of the certificates that vouch for the collector")
			}
			s.CA = absolute(folder, s.CA)
		case "client_cert":
			if !d.Args(&s.Cert, &s.Key) {
				return s, d.Err("client_cert wants the file of a certificate and the file of its key")
			}
			s.Cert, s.Key = absolute(folder, s.Cert), absolute(folder, s.Key)
		default:
			return s, d.Errf("unknown option %s of syslog; it has ca, client_cert", option)
		}
		if d.NextArg() {
			return s, d.ArgErr()
		}
	}
	return s, nil
}

// certificates reads a file of certificates that vouch for whom we call.
func certificates(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca: %s holds no certificate", file)
	}
	return pool, nil
}

// client reads the files that a connection needs.
func (s *Syslog) client(repl *caddy.Replacer) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.CA != "" {
		var err error
		if c.RootCAs, err = certificates(repl.ReplaceKnown(s.CA, "")); err != nil {
			return nil, fmt.Errorf("syslog: %w", err)
		}
	}
	if s.Cert != "" {
		pair, err := tls.LoadX509KeyPair(repl.ReplaceKnown(s.Cert, ""), repl.ReplaceKnown(s.Key, ""))
		if err != nil {
			return nil, fmt.Errorf("syslog: client_cert: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// syslogDir is the folder of the cursors in the data directory.
const syslogDir = "syslog"

// shipments prepares what Start runs, so that a configuration that cannot work is
// refused before anything of it runs.
func (a *App) shipments(dir string) error {
	seen := map[string]bool{}
	for i := range a.Syslog {
		s := &a.Syslog[i]
		if seen[s.Address] {
			return errors.New("syslog: " + s.Address + " is named twice")
		}
		seen[s.Address] = true
		client, err := s.client(caddy.NewReplacer())
		if err != nil {
			return err
		}
		sum := sha256.Sum256([]byte(s.Address))
		m := a.metrics.shipping(s.Address)
		a.ships = append(a.ships, syslog.Config{
			Data: dir, Address: s.Address, TLS: client, State: filepath.Join(dir, syslogDir, hex.EncodeToString(sum[:8])),
			Host: a.config.withDefaults().logName(), Logger: processLogger(), Sent: m.sent, Behind: m.behind, Failed: m.failed,
		})
	}
	return nil
}

// ship sends the log to the collectors until this configuration ends. The successor's
// shipper waits for this one.
func (a *App) ship() {
	ctx := a.running()
	for _, c := range a.ships {
		go func() {
			if err := syslog.Run(ctx, c); err != nil {
				a.logger.Error("the log is not sent to the collector any more", zap.String("address", c.Address), errField(err))
			}
		}()
	}
}
