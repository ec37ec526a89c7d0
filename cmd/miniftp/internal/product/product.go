// Package product recognizes FTP server products by the texts of their replies, and has the names of their
// settings for problems that clients can see.
//
// It is a table, and depends on no other package of this module.
package product

import (
	"strings"
)

// Topic says what a setting of a server decides.
type Topic uint8

// The topics.
const (
	NoTopic Topic = iota
	PublicAddress
	DataPorts
	SessionReuse
	DemandTLS
	OfferTLS
	Certificate
	MoreConnections
	ListTimes
	Restartable
)

// Product is an FTP server product.
type Product struct {
	Name     string
	words    string           // found in its greeting or its reply to SYST, in lower case
	Settings map[Topic]string // what to set for a topic
}

// products holds the known products. Recognise returns the first one that matches.
var products = []Product{
	{"vsftpd", "vsftpd", map[Topic]string{
		PublicAddress: "pasv_address", DataPorts: "pasv_min_port and pasv_max_port", SessionReuse: "require_ssl_reuse=NO",
		DemandTLS: "force_local_logins_ssl=YES", OfferTLS: "ssl_enable=YES", Certificate: "rsa_cert_file and rsa_private_key_file",
		MoreConnections: "max_per_ip, max_clients", ListTimes: "use_localtime=NO",
	}},
	{"ProFTPD", "proftpd", map[Topic]string{
		PublicAddress: "MasqueradeAddress", DataPorts: "PassivePorts", SessionReuse: "TLSOptions NoSessionReuseRequired",
		DemandTLS: "TLSRequired on", OfferTLS: "TLSEngine on", Certificate: "TLSRSACertificateFile and TLSRSACertificateKeyFile",
		MoreConnections: "MaxClientsPerHost, MaxClientsPerUser", ListTimes: "TimesGMT on", Restartable: "AllowRetrieveRestart on",
	}},
	{"Pure-FTPd", "pure-ftpd", map[Topic]string{
		PublicAddress: "ForcePassiveIP, or -P", DataPorts: "PassivePortRange, or -p", DemandTLS: "TLS 2, or -Y 2", OfferTLS: "TLS 1, or -Y 1",
		Certificate: "CertFile", MoreConnections: "MaxClientsPerIP, or -C",
	}},
	{"pyftpdlib", "pyftpdlib", map[Topic]string{
		PublicAddress: "handler.masquerade_address", DataPorts: "handler.passive_ports", DemandTLS: "handler.tls_control_required",
		OfferTLS: "TLS_FTPHandler", Certificate: "handler.certfile", MoreConnections: "server.max_cons_per_ip", ListTimes: "handler.use_gmt_times",
	}},
	{"FileZilla Server", "filezilla", map[Topic]string{
		PublicAddress: "Passive mode: public IP or hostname", DataPorts: "Passive mode: custom port range", DemandTLS: "FTP server: require explicit FTP over TLS",
		OfferTLS: "FTP server: explicit FTP over TLS", Certificate: "FTP server: TLS certificate", MoreConnections: "Limits: simultaneous connections",
	}},
	{"IIS", "microsoft ftp", map[Topic]string{
		PublicAddress: "FTP Firewall Support: External IP Address of Firewall", DataPorts: "FTP Firewall Support: Data Channel Port Range",
		DemandTLS: "FTP SSL Settings: Require SSL", OfferTLS: "FTP SSL Settings: Allow SSL", Certificate: "FTP SSL Settings: SSL Certificate",
		MoreConnections: "Limits: maximum number of connections",
	}},
	{"miniftp", "miniftp", map[Topic]string{
		PublicAddress: "--public-ip", DataPorts: "--passive-ports", SessionReuse: "--tls-session-reuse prefer", DemandTLS: "--tls required",
		OfferTLS: "--tls optional --tls-cert", Certificate: "--tls-cert and --tls-key", MoreConnections: "--max-sessions-per-ip, --max-sessions",
	}},
}

// Recognise returns the product that a greeting or a reply to SYST names, or nil if it names none.
func Recognise(words string) *Product {
	words = strings.ToLower(words)
	for i := range products {
		if strings.Contains(words, products[i].words) {
			return &products[i]
		}
	}
	return nil
}

// FXPSetting holds what to set at a server to allow copies from server to server: if it dials the other server,
// and if it listens for it.
type FXPSetting struct{ Dials, Listens string }

// FXPSettings holds the FXPSetting of products by name.
var FXPSettings = map[string]FXPSetting{
	"vsftpd":    {"port_promiscuous=YES", "pasv_promiscuous=YES"},
	"ProFTPD":   {"AllowForeignAddress on", "AllowForeignAddress on"},
	"Pure-FTPd": {"-w, or AllowUserFXP yes", "-w, or AllowUserFXP yes"},
	"pyftpdlib": {"handler.permit_foreign_addresses = True", "handler.permit_foreign_addresses = True"},
	"miniftp":   {"--fxp, or fxp = true of the user", "--fxp, or fxp = true of the user"},
}

// refusals holds texts of refusals that identify products whose greeting does not.
var refusals = []struct{ words, product string }{
	{"illegal port command.", "vsftpd"},
	{"illegal eprt command.", "vsftpd"},
	{"security: bad ip connecting", "vsftpd"},
	{"illegal port command", "proftpd"},
	{"i won't open a connection to", "pure-ftpd"},
	{"rejected data connection", "pyftpdlib"},
	{"fxp is off for this account", "miniftp"},
}

// ByRefusal returns the product that uses the text of a refusal, or nil if it is unknown.
func ByRefusal(words string) *Product {
	words = strings.ToLower(words)
	for _, t := range refusals {
		if strings.Contains(words, t.words) {
			return Recognise(t.product)
		}
	}
	return nil
}
