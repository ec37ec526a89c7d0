package ftptest

import (
	"fmt"
	"io/fs"

	"miniftp/ftp"
)

// ProFTPD returns a Product for ProFTPD 1.3.8 with its usual modules. It supports MLSD with all
// facts, MFMT and MFF. It refuses SIZE in ASCII, and another USER after the login. LIST of a
// missing file begins with a 150 and ends with a 450.
func ProFTPD() Product { return proftpd.clone() }

var proftpd = Product{
	Name: "ProFTPD 1.3.8",
	Knows: "ABOR ACCT ALLO APPE CDUP CLNT CSID CWD DELE EPRT EPSV FEAT HELP HOST LANG LIST MDTM MFF MFMT MKD MLSD MLST MODE NLST NOOP OPTS " +
		"PASS PASV PORT PWD QUIT RANG REIN REST RETR RMD RNFR RNTO SITE SIZE SMNT STAT STOR STOU STRU SYST TYPE USER XCUP XCWD XMKD XPWD XRMD " +
		"AUTH PBSZ PROT",
	Rules: []Rule{
		{"GREETING 220", "220 ProFTPD Server (peer) [127.0.0.1]"},
		{"MKD 550 permission denied", "550 {arg}: Permission denied"},
		{"RMD 550 permission denied", "550 {arg}: Permission denied"},
		{"SITE CHMOD 550 permission denied", "550 {arg}: Permission denied"},
		{"MFMT 550 permission denied", "550 Unable to handle command"},
		{"* 550 permission denied", "550 {arg}: Operation not permitted"},
		{"?", "500 {verb} not understood"},
		{"-ALLO|MODE|MDTM|ABOR", "530 Please login with USER and PASS"},
		{"-TYPE I", "200 Type set to I"},
		{"* 530 Log in first", "530 Please login with USER and PASS"},
		{"PASS 503", "503 Login with USER first"},
		{"+USER {user}", "230 User {user} logged in"},
		{"+USER", "501 Reauthentication not supported"},
		{"+PASS", "503 You are already logged in"},
		{"USER 331", "331 Password required for {arg}"},
		{"PASS 230", "230 User {user} logged in"},
		{"PASS 530", "530 Login incorrect."},
		{"FEAT", "211-Features:\n~ AUTH TLS\n~ CCC\n CLNT\n CSID\n EPRT\n EPSV\n HOST\n LANG C.UTF-8*\n MDTM\n MFF modify;UNIX.group;UNIX.mode;\n MFMT\n" +
			" MLST modify*;perm*;size*;type*;unique*;UNIX.group*;UNIX.groupname*;UNIX.mode*;UNIX.owner*;UNIX.ownername*;\n" +
			"~ PBSZ\n~ PROT\n RANG STREAM\n REST STREAM\n SIZE\n~ SSCN\n TVFS\n UTF8\n211 End"},
		{"OPTS UTF8 200", "200 UTF8 set to on"},
		{"OPTS 501", "500 OPTS {arg} not understood"},
		{"AUTH 234", "234 AUTH TLS successful"},
		{"AUTH 504", "500 AUTH not understood"},
		{"AUTH 502", "500 AUTH not understood"},
		{"PROT 534", "534 Unwilling to accept security parameters"},
		{"AUTH 503", "503 Unwilling to accept second AUTH"},
		{"PBSZ 200", "200 PBSZ 0 successful"},
		{"PBSZ 503", "550 SSL/TLS required on the control channel"},
		{"PROT C 200", "200 Protection set to Clear"},
		{"PROT 200", "200 Protection set to Private"},
		{"PROT 504", "504 PROT {arg} unsupported"},
		{"NOOP", "200 NOOP command successful"},
		{"CLNT", "200 OK"},
		{"ALLO", "202 No storage allocation necessary"},
		{"ACCT", "502 ACCT command not implemented"},
		{"REIN", "502 REIN command not implemented"},
		{"SMNT", "502 SMNT command not implemented"},
		{"MODE S 200", "200 Mode set to S"},
		{"MODE B", "504 'MODE B' unsupported transfer mode"},
		{"MODE Z", "501 'MODE Z' unrecognized transfer mode"},
		{"STRU 200", "200 Structure set to F"},
		{"STRU 504", "504 'STRU {arg}' unsupported structure type"},
		{"TYPE A 200", "200 Type set to A"},
		{"TYPE 200", "200 Type set to I"},
		{"TYPE 504", "504 TYPE not implemented for '{arg}' parameter"},
		{"HOST 503", "503 Bad sequence of commands"},
		{"SITE CHMOD 200", "200 SITE CHMOD command successful"},
		{"SITE CHMOD 501", "500-'SITE CHMOD' not understood\n500 SITE not understood"},
		{"SITE CHMOD 550", "550 {name}: No such file or directory"},
		{"SITE 501", "500 'SITE {arg}' not understood"},
		{"PWD 257", "257 {quoted} is the current directory"},
		{"CWD 250", "250 CWD command successful"},
		{"CDUP 250", "250 CDUP command successful"},
		{"MKD 257", "257 {quoted} - Directory successfully created"},
		{"MKD 550 exists", "550 {arg}: File exists"},
		{"RMD 250", "250 RMD command successful"},
		{"RMD 550 not empty", "550 {arg}: Directory not empty"},
		{"RMD 550 not a directory", "550 {arg}: Not a directory"},
		{"SIZE 550 TYPE I", "550 SIZE not allowed in ASCII mode"},
		{"SIZE/ 550", "550 {arg}: not a regular file"},
		{"SIZE 501", "501 Invalid number of parameters"},
		{"MDTM #", "550 {arg}: No such file or directory"},
		{"MDTM/ 213", "550 {arg}: not a plain file"},
		{"MLST 250", "250-Start of list for {arg}\n {facts} {path}\n250 End of list"},
		{"MLST 550", "550 '{arg}' cannot be listed"},
		{"DELE 250", "250 DELE command successful"},
		{"DELE/ 550", "550 {arg}: Is a directory"},
		{"DELE 501", "501 Invalid number of parameters"},
		{"RNFR 350", "350 File or directory exists, ready for destination name"},
		{"RNTO 250", "250 Rename successful"},
		{"RNTO 503", "503 Bad sequence of commands"},
		{"MFMT 213", "213 Modify={first}; {name}"},
		{"MFMT 550", "550 {name}: No such file or directory"},
		{"REST 350", "350 Restarting at {arg}. Send STORE or RETRIEVE to initiate transfer"},
		{"REST 501", "501 REST requires a value greater than or equal to 0"},
		{"EPSV 522", "522 Network protocol not supported, use (1)"},
		{"PORT 200", "200 PORT command successful"},
		{"PORT 504", "500 Illegal PORT command"},
		{"EPRT 200", "200 EPRT command successful"},
		{"EPRT 504", "500 Illegal EPRT command"},
		{"EPRT 522", "522 Network protocol not supported, use (1)"},
		{"RETR 150", "150 Opening {type} mode data connection for {arg} ({bytes} bytes)"},
		{"RETR/ 550", "550 {arg}: Not a regular file"},
		{"STOR/ 550", "550 {arg}: Not a regular file"},
		{"STOR 150", "150 Opening {type} mode data connection for {arg}"},
		{"APPE 150", "150 Opening {type} mode data connection for {arg}"},
		{"LIST 150", "150 Opening {type} mode data connection for file list"},
		{"NLST 150", "150 Opening {type} mode data connection for file list"},
		{"MLSD 150", "150 Opening {type} mode data connection for MLSD"},
		{"MLSD 501", "550 '{arg}' is not a directory"},
		{"LIST 550", "150 Opening {type} mode data connection for file list\n450 {arg}: No such file or directory"},
		{"NLST 550", "450 {arg}: No such file or directory"},
		{"* 226 Done", "226 Transfer complete"},
		{"STAT 213", "213-Status of {arg}:\n {list}\n213 End of status"},
		{"STAT 550", "450 {arg}: No such file or directory"},
		{"* 550 not a directory", "550 {arg}: Not a directory"},
		{"* 550", "550 {arg}: No such file or directory"},
		{"ABOR 226", "226 Abort successful"},
		{"QUIT 221", "221 Goodbye."},
	},
	List: func(e *ftp.Entry) string {
		return fmt.Sprintf("%s %3d %-8s %-8s %8d %s %s", letters(e), max(e.Links, 1), "ftp", "ftp", e.Size, when(e.Modified, "_2"), shown(e))
	},
	Facts: func(e *ftp.Entry) string {
		sized := ""
		if !e.IsDir() {
			sized = fmt.Sprintf("size=%d;", e.Size)
		}
		return fmt.Sprintf("modify=%s;perm=%s;%stype=%s;unique=%s;UNIX.group=0;UNIX.groupname=ftp;UNIX.mode=%#o;UNIX.owner=0;UNIX.ownername=ftp;",
			e.Modified.Format("20060102150405"), perms(e, "adfrw", "flcdmpe"), sized, e.Type, e.Unique, e.Mode&fs.ModePerm)
	},
	Hidden: []string{"LIST -a", "NLST -a", "MLSD"},
	Dots:   []string{"LIST -a", "NLST -a", "MLSD"},
}
