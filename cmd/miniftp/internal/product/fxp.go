package product

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

// TellTales are replies that tell a server by its words where the greeting does not.
var TellTales = []struct{ Words, Product string }{
	{"illegal port command.", "vsftpd"},
	{"illegal eprt command.", "vsftpd"},
	{"security: bad ip connecting", "vsftpd"},
	{"illegal port command", "proftpd"},
	{"i won't open a connection to", "pure-ftpd"},
	{"rejected data connection", "pyftpdlib"},
	{"fxp is off for this account", "miniftp"},
}
