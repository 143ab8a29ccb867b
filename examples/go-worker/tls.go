package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

// tlsFiles is how the coordinator is dialled, by the options and variables of Holdfast's own agents (docs/how-to/tls.md).
type tlsFiles struct{ wanted, ca, cert, key, name *string }

func tlsFlags() *tlsFiles {
	return &tlsFiles{
		wanted: flag.String("tls", env("HOLDFAST_TLS", ""), "true or false: speak TLS; default: true when another -tls- option is given"),
		ca:     flag.String("tls-ca", env("HOLDFAST_TLS_CA", ""), "authorities of the coordinator's certificate (PEM)"),
		cert:   flag.String("tls-client-cert", env("HOLDFAST_TLS_CLIENT_CERT", ""), "certificate that says who this agent is (PEM)"),
		key:    flag.String("tls-client-key", env("HOLDFAST_TLS_CLIENT_KEY", ""), "its private key (PEM)"),
		name:   flag.String("tls-server-name", env("HOLDFAST_TLS_SERVER_NAME", ""), "name in the coordinator's certificate"),
	}
}

// option reads the files.
func (t *tlsFiles) option() (grpc.DialOption, error) {
	meant := *t.ca != "" || *t.cert != "" || *t.key != "" || *t.name != ""
	if *t.wanted == "false" || (*t.wanted == "" && !meant) {
		return grpc.WithInsecure(), nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, ServerName: *t.name}
	if *t.ca != "" {
		pem, err := os.ReadFile(*t.ca)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate", *t.ca)
		}
	}
	if (*t.cert == "") != (*t.key == "") {
		return nil, errors.New("-tls-client-cert and -tls-client-key are of no use without each other")
	}
	if *t.cert != "" {
		pair, err := tls.LoadX509KeyPair(*t.cert, *t.key)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return grpc.WithTransportCredentials(credentials.NewTLS(config)), nil
}
