package ftptest

import (
	"fmt"

	"miniftp/ftp"
)

// Pyftpdlib returns a Product for pyftpdlib 1.5.7, a library for servers in Python. Its listings
// hide nothing and contain neither "." nor "..". A transfer begins with 125. USER logs the user
// out.
func Pyftpdlib() Product { return pyftpdlib.clone() }

var pyftpdlib = Product{
	Name: "pyftpdlib 1.5.7",
	Knows: "ABOR ALLO APPE CDUP CWD DELE EPRT EPSV FEAT HELP LIST MDTM MFMT MKD MLSD MLST MODE NLST NOOP OPTS PASS PASV PORT PWD QUIT REIN " +
		"REST RETR RMD RNFR RNTO SITE SIZE STAT STOR STOU STRU SYST TYPE USER XCUP XCWD XMKD XPWD XRMD AUTH PBSZ PROT",
	Rules: []Rule{
		{"GREETING 220", "220 pyftpdlib 1.5.7 ready."},
		{"* 550 permission denied", "550 Not enough privileges."},
		{"-OPTS|ALLO|MODE|MDTM|ABOR", "530 Log in with USER and PASS first."},
		{"?", "500 Command \"{verb}\" not understood."},
		{"* 530 Log in first", "530 Log in with USER and PASS first."},
		{"PASS 503", "503 Login with USER first."},
		{"+USER 331", "331 Previous account information was flushed, send password."},
		{"USER 331", "331 Username ok, send password."},
		{"PASS 230", "230 Login successful."},
		{"PASS 530", "530 Authentication failed."},
		{"FEAT", "211-Features supported:\n~ AUTH SSL\n~ AUTH TLS\n EPRT\n EPSV\n MDTM\n MFMT\n MLST type*;perm*;size*;modify*;unique*;unix.mode;unix.uid;unix.gid;\n" +
			"~ PBSZ\n~ PROT\n REST STREAM\n SIZE\n TVFS\n UTF8\n211 End FEAT."},
		{"OPTS UTF8", "501 Invalid argument."},
		{"OPTS 501", "501 Unsupported command \"{arg}\"."},
		{"AUTH 234", "234 AUTH TLS successful."},
		{"AUTH 504", "502 Unrecognized encryption type (use TLS or SSL)."},
		{"AUTH 502", "500 Command \"AUTH\" not understood."},
		{"AUTH 503", "503 Already using TLS."},
		{"PBSZ 200", "200 PBSZ=0 successful."},
		{"PBSZ 503", "503 PBSZ not allowed on insecure control connection."},
		{"PROT C 200", "200 Protection set to Clear"},
		{"PROT 200", "200 Protection set to Private"},
		{"PROT 504", "502 Unrecognized PROT type (use C or P)."},
		{"NOOP", "200 I successfully did nothing'."},
		{"ALLO", "202 No storage allocation necessary."},
		{"REIN 220", "230 Ready for new user."},
		{"MODE S 200", "200 Transfer mode set to: S"},
		{"MODE B", "504 Unimplemented MODE type."},
		{"MODE Z", "501 Unrecognized MODE type."},
		{"STRU 200", "200 File transfer structure set to: F."},
		{"STRU 504", "504 Unimplemented STRU type."},
		{"TYPE A 200", "200 Type set to: ASCII."},
		{"TYPE 200", "200 Type set to: Binary."},
		{"TYPE 504", "504 Unsupported type \"{arg}\"."},
		{"SITE CHMOD 200", "200 SITE CHMOD successful."},
		{"SITE CHMOD 501", "501 Syntax error: command needs an argument."},
		{"SITE 501", "500 Command \"SITE {arg}\" not understood."},
		{"PWD 257", "257 {quoted} is the current directory."},
		{"CWD 250", "250 \"{cwd}\" is the current directory."},
		{"CDUP 250", "250 \"{cwd}\" is the current directory."},
		{"MKD 257", "257 {quoted} directory created."},
		{"RMD 250", "250 Directory removed."},
		{"SIZE 550 TYPE I", "550 SIZE not allowed in ASCII mode."},
		{"SIZE 550", "550 {path} is not retrievable."},
		{"MDTM #", "550 {path} is not retrievable"},
		{"MDTM/ 213", "550 {path} is not retrievable"},
		{"MDTM 550", "550 {path} is not retrievable"},
		{"MLST 250", "250-Listing \"{path}\":\n {facts} {path}\n250 End MLST."},
		{"DELE 250", "250 File removed."},
		{"RNFR 350", "350 Ready for destination name."},
		{"RNTO 250", "250 Renaming ok."},
		{"RNTO 503", "503 Bad sequence of commands: use RNFR first."},
		{"MFMT 213", "213 Modify={first}; {path}."},
		{"MFMT 550", "550 {path} is not retrievable"},
		{"REST 350", "350 Restarting at position {arg}."},
		{"REST 501", "501 Invalid parameter."},
		{"EPSV 229", "229 Entering extended passive mode (|||{port}|)."},
		{"EPSV 522", "501 Unknown network protocol (use 1)."},
		{"PASV 227", "227 Entering passive mode ({addr})."},
		{"PORT 200", "200 Active data connection established."},
		{"PORT 504 it is not the host", "501 Rejected data connection to foreign address {host}:{hostport}."},
		{"EPRT 200", "200 Active data connection established."},
		{"EPRT 504 ports below 1024", "501 PORT against the privileged port \"{hostport}\" refused."},
		{"EPRT 522", "501 Unknown network protocol (use 1)."},
		{"* 501 syntax", "501 Syntax error: command needs an argument."},
		{"MLSD 501", "501 No such directory."},
		{"MLSD 550", "501 No such directory."},
		{"* 150", "125 Data connection already open. Transfer starting."},
		{"* 226 Done", "226 Transfer complete."},
		{"STAT 213", "213-Status of \"{path}\":\n{list}\n213 End of status."},
		{"* 550 not empty", "550 Directory not empty."},
		{"* 550 not a directory", "550 Not a directory."},
		{"* 550 is a directory", "550 Is a directory."},
		{"* 550 exists", "550 File exists."},
		{"* 550", "550 No such file or directory."},
		{"ABOR 226", "225 No transfer to abort."},
		{"QUIT 221", "221 Goodbye."},
	},
	List: func(e *ftp.Entry) string {
		return fmt.Sprintf("%s %3d %-8s %-8s %8d %s %s", letters(e), max(e.Links, 1), "ftp", "ftp", e.Size, when(e.Modified, "02"), shown(e))
	},
	Facts: func(e *ftp.Entry) string {
		return fmt.Sprintf("modify=%s;perm=%s;size=%d;type=%s;unique=%s;", e.Modified.Format("20060102150405"), perms(e, "radfwMT", "eldfmMTcp"), size(e), e.Type, e.Unique)
	},
	Hidden:    []string{"LIST", "LIST -a", "NLST", "NLST -a", "MLSD"},
	BareNames: true,
}
