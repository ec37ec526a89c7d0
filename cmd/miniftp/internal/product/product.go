// Package product knows FTP servers by what they call themselves, and which of their settings
// stands in a client's way.
//
// It stands on nothing of this module: it is a table, and what is said with it is the verbs'.
package product

import (
	"strings"
)

// Topic is what a setting of a server is about.
type Topic uint8

// What the settings are about.
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

// Product is a server that is known by its words, and what its settings are called.
type Product struct {
	Name     string
	words    string // in its greeting or its answer to SYST, in lower case
	Settings map[Topic]string
}

// products: the first whose words fit is the one.
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

// Recognise returns the product that the words of a greeting or of SYST name; nil if they don't tell.
func Recognise(words string) *Product {
	words = strings.ToLower(words)
	for i := range products {
		if strings.Contains(words, products[i].words) {
			return &products[i]
		}
	}
	return nil
}

// FXPSetting is what a server's admin has to set: for an address that it is told to
// call, and for a call of another server.
type FXPSetting struct{ Dials, Listens string }

// FXPSettings are those of the servers that are known, by the product's name.
var FXPSettings = map[string]FXPSetting{
	"vsftpd":    {"port_promiscuous=YES", "pasv_promiscuous=YES"},
	"ProFTPD":   {"AllowForeignAddress on", "AllowForeignAddress on"},
	"Pure-FTPd": {"-w, or AllowUserFXP yes", "-w, or AllowUserFXP yes"},
	"pyftpdlib": {"handler.permit_foreign_addresses = True", "handler.permit_foreign_addresses = True"},
	"miniftp":   {"--fxp, or fxp = true of the user", "--fxp, or fxp = true of the user"},
}

// tellTales are refusals that tell a server by its words where the greeting does not.
var tellTales = []struct{ words, product string }{
	{"illegal port command.", "vsftpd"},
	{"illegal eprt command.", "vsftpd"},
	{"security: bad ip connecting", "vsftpd"},
	{"illegal port command", "proftpd"},
	{"i won't open a connection to", "pure-ftpd"},
	{"rejected data connection", "pyftpdlib"},
	{"fxp is off for this account", "miniftp"},
}

// ByRefusal returns the product that refuses in these words; nil if they don't tell.
func ByRefusal(words string) *Product {
	words = strings.ToLower(words)
	for _, t := range tellTales {
		if strings.Contains(words, t.words) {
			return Recognise(t.product)
		}
	}
	return nil
}
