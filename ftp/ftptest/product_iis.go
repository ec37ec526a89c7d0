package ftptest

import (
	"fmt"

	"miniftp/ftp"
)

// IIS returns a Product for the FTP server of Internet Information Services 7.5 and later. It
// lists in the format of MS-DOS, supports none of MLSD, MFMT and SITE CHMOD, and begins a
// transfer with 125. It was not recorded: its replies are from [MS-FTPS] and from logs that
// users have published.
func IIS() Product { return iis.clone() }

var iis = Product{
	Name: "Microsoft FTP Service (IIS 7.5 and later)",
	Knows: "ABOR ACCT ALLO APPE AUTH CCC CDUP CWD DELE EPRT EPSV FEAT HELP HOST LANG LIST MDTM MKD MODE NLST NOOP OPTS PASS PASV PBSZ PORT " +
		"PROT PWD QUIT REIN REST RETR RMD RNFR RNTO SITE SIZE STAT STOR STOU STRU SYST TYPE USER XCUP XCWD XMKD XPWD XRMD",
	Rules: []Rule{
		{"GREETING 220", "220 Microsoft FTP Service"},
		{"* 550 permission denied", "550 Access is denied. "},
		{"?", "500 Command not understood."},
		{"PASS 503", "503 Login with USER first."},
		{"* 530 Log in first", "530 Please login with USER and PASS."},
		{"USER anonymous 331", "331 Anonymous access allowed, send identity (e-mail name) as password."},
		{"USER 331", "331 Password required"},
		{"PASS 230", "230 User logged in."},
		{"PASS 530", "530 User cannot log in."},
		{"SYST", "215 Windows_NT"},
		{"FEAT", "211-Extended features supported:\n LANG EN*\n UTF8\n AUTH TLS;TLS-C;SSL;TLS-P;\n PBSZ\n PROT C;P;\n CCC\n HOST\n SIZE\n MDTM\n REST STREAM\n211 END"},
		{"OPTS UTF8 200", "200 OPTS UTF8 command successful - UTF8 encoding now ON."},
		{"OPTS", "501 Option not supported."},
		{"AUTH 234", "234 AUTH command ok. Expecting TLS Negotiation."},
		{"PBSZ 200", "200 PBSZ command successful."},
		{"PROT 200", "200 PROT command successful."},
		{"NOOP", "200 noop command successful."},
		{"MODE B", "504 Mode not supported."},
		{"MODE Z", "504 Mode not supported."},
		{"MODE 504", "504 Mode not supported."},
		{"TYPE A 200", "200 Type set to A."},
		{"TYPE 200", "200 Type set to I."},
		{"SITE", "500 Command not understood."},
		{"PWD 257", "257 {quoted} is current directory."},
		{"CWD 250", "250 CWD command successful."},
		{"CDUP 250", "250 CDUP command successful."},
		{"MKD 257", "257 \"{arg}\" directory created."},
		{"RMD 250", "250 RMD command successful."},
		{"DELE 250", "250 DELE command successful."},
		{"DELE/ 550", "550 Access is denied. "},
		{"MDTM #", "550 The filename, directory name, or volume label syntax is incorrect. "},
		{"SIZE 550 TYPE I", "213 {size}"},
		{"SIZE/ 550", "550 Access is denied. "},
		{"RNFR 350", "350 Requested file action pending further information."},
		{"RNTO 250", "250 RNTO command successful."},
		{"RNTO 503", "503 Bad sequence of commands."},
		{"REST 350", "350 Restarting at {arg}."},
		{"PORT 200", "200 PORT command successful."},
		{"EPRT 200", "200 EPRT command successful."},
		{"EPSV 229", "229 Entering Extended Passive Mode (|||{port}|)"},
		{"* 150", "125 Data connection already open; Transfer starting."},
		{"* 226 Done", "226 Transfer complete."},
		{"STOR/ 550", "550 Access is denied. "},
		{"RETR/ 550", "550 Access is denied. "},
		{"* 550 not empty", "550 The directory is not empty. "},
		{"* 550 not a directory", "550 The directory name is invalid. "},
		{"* 550 exists", "550 Cannot create a file when that file already exists. "},
		{"* 550", "550 The system cannot find the file specified. "},
		{"* 501", "501 Server cannot accept argument."},
		{"ABOR 226", "225 ABOR command successful."},
		{"QUIT 221", "221 Goodbye."},
	},
	List: func(e *ftp.Entry) string {
		at := e.Modified.UTC().Format("01-02-06  03:04PM")
		if e.IsDir() {
			return at + "       <DIR>          " + e.Name
		}
		return fmt.Sprintf("%s %20d %s", at, e.Size, e.Name)
	},
	Hidden: []string{"LIST", "LIST -a", "NLST", "NLST -a"},
}
