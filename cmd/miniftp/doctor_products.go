package main

import (
	"strings"
)

// topic is what a setting of a server is about.
type topic uint8

const (
	noTopic topic = iota
	publicAddress
	dataPorts
	sessionReuse
	demandTLS
	offerTLS
	certificate
	moreConnections
	listTimes
	restartable
	activeMode
)

// product is a server that is known by its words, and what its settings are called.
type product struct {
	name     string
	words    string // in its greeting or its answer to SYST, in lower case
	settings map[topic]string
}

// products: the first whose words fit is the one.
var products = []product{
	{"vsftpd", "vsftpd", map[topic]string{
		publicAddress: "pasv_address", dataPorts: "pasv_min_port and pasv_max_port", sessionReuse: "require_ssl_reuse=NO",
		demandTLS: "force_local_logins_ssl=YES", offerTLS: "ssl_enable=YES", certificate: "rsa_cert_file and rsa_private_key_file",
		moreConnections: "max_per_ip, max_clients", listTimes: "use_localtime=NO", activeMode: "port_enable=YES",
	}},
	{"ProFTPD", "proftpd", map[topic]string{
		publicAddress: "MasqueradeAddress", dataPorts: "PassivePorts", sessionReuse: "TLSOptions NoSessionReuseRequired",
		demandTLS: "TLSRequired on", offerTLS: "TLSEngine on", certificate: "TLSRSACertificateFile and TLSRSACertificateKeyFile",
		moreConnections: "MaxClientsPerHost, MaxClientsPerUser", listTimes: "TimesGMT on", restartable: "AllowRetrieveRestart on",
	}},
	{"Pure-FTPd", "pure-ftpd", map[topic]string{
		publicAddress: "ForcePassiveIP, or -P", dataPorts: "PassivePortRange, or -p", demandTLS: "TLS 2, or -Y 2", offerTLS: "TLS 1, or -Y 1",
		certificate: "CertFile", moreConnections: "MaxClientsPerIP, or -C",
	}},
	{"pyftpdlib", "pyftpdlib", map[topic]string{
		publicAddress: "handler.masquerade_address", dataPorts: "handler.passive_ports", demandTLS: "handler.tls_control_required",
		offerTLS: "TLS_FTPHandler", certificate: "handler.certfile", moreConnections: "server.max_cons_per_ip", listTimes: "handler.use_gmt_times",
	}},
	{"FileZilla Server", "filezilla", map[topic]string{
		publicAddress: "Passive mode: public IP or hostname", dataPorts: "Passive mode: custom port range", demandTLS: "FTP server: require explicit FTP over TLS",
		offerTLS: "FTP server: explicit FTP over TLS", certificate: "FTP server: TLS certificate", moreConnections: "Limits: simultaneous connections",
	}},
	{"IIS", "microsoft ftp", map[topic]string{
		publicAddress: "FTP Firewall Support: External IP Address of Firewall", dataPorts: "FTP Firewall Support: Data Channel Port Range",
		demandTLS: "FTP SSL Settings: Require SSL", offerTLS: "FTP SSL Settings: Allow SSL", certificate: "FTP SSL Settings: SSL Certificate",
		moreConnections: "Limits: maximum number of connections",
	}},
	{"miniftp", "miniftp", map[topic]string{
		publicAddress: "--public-ip", dataPorts: "--passive-ports", sessionReuse: "--tls-session-reuse prefer", demandTLS: "--tls required",
		offerTLS: "--tls optional --tls-cert", certificate: "--tls-cert and --tls-key", moreConnections: "--max-sessions-per-ip, --max-sessions",
	}},
}

// recognise finds the product by its words; nil if they don't tell.
func recognise(words string) *product {
	words = strings.ToLower(words)
	for i := range products {
		if strings.Contains(words, products[i].words) {
			return &products[i]
		}
	}
	return nil
}
