package ftptest

import (
	"fmt"
	"io/fs"

	"miniftp/ftp"
)

// PureFTPd returns a Product for Pure-FTPd 1.0.50. NLST and MLSD show "." and "..". LIST of a
// missing file is empty. Quotes inside the path of a 257 are not doubled. REIN and HOST are
// unsupported.
func PureFTPd() Product { return pureftpd.clone() }

var pureftpd = Product{
	Name: "Pure-FTPd 1.0.50",
	Knows: "ABOR ACCT ALLO APPE AUTH CDUP CWD DELE EPRT EPSV ESTA ESTP FEAT HELP LIST MDTM MFMT MKD MLSD MLST MODE NLST NOOP OPTS PASS PASV " +
		"PBSZ PORT PRET PROT PWD QUIT REST RETR RMD RNFR RNTO SITE SIZE STAT STOR STOU STRU SYST TYPE USER XCUP XCWD XDBG XMKD XPWD XRMD",
	Rules: []Rule{
		{"GREETING 220", "220---------- Welcome to Pure-FTPd [privsep] [TLS] ----------\n220-You are user number 1 of 32 allowed.\n" +
			"220-Local time is now {clock}. Server port: 21.\n220-This is a private system - No anonymous login\n" +
			"220 You will be disconnected after 15 minutes of inactivity."},
		{"STOR 550 permission denied", "553 Can't open that file: Permission denied"},
		{"APPE 550 permission denied", "553 Can't open that file: Permission denied"},
		{"DELE 550 permission denied", "550 Could not delete {arg}: Permission denied"},
		{"MKD 550 permission denied", "550 Can't create directory: Permission denied"},
		{"RMD 550 permission denied", "550 Can't remove directory: Permission denied"},
		{"MFMT 550 permission denied", "550 utime({name}): Operation not permitted"},
		{"SITE CHMOD 550 permission denied", "550 Could not change perms on {name}: Operation not permitted"},
		{"* 550 permission denied", "550 Can't open {arg}: Permission denied"},
		{"-ALLO|SITE|MDTM|ABOR", "530 You aren't logged in"},
		{"-STRU F", "200 F OK"},
		{"-TYPE I", "200 TYPE is now 8-bit binary"},
		{"PASS 503", "530 Please tell me who you are"},
		{"* 530 Log in first", "530 You aren't logged in"},
		{"-?", "530 You aren't logged in"},
		{"?", "500 Unknown command"},
		{"+USER", "530 You're already logged in"},
		{"+PASS", "530 We can't do that in the current session"},
		{"USER 331", "331 User {arg} OK. Password required"},
		{"PASS 230", "230 OK. Current directory is {cwd}"},
		{"PASS 530", "530 Login authentication failed"},
		{"FEAT", "211-Extensions supported:\n UTF8\n EPRT\n IDLE\n MDTM\n SIZE\n MFMT\n REST STREAM\n" +
			" MLST type*;size*;sizd*;modify*;UNIX.mode*;UNIX.uid*;UNIX.gid*;unique*;\n MLSD\n PRET\n AUTH TLS\n PBSZ\n PROT\n TVFS\n ESTA\n PASV\n EPSV\n ESTP\n211 End."},
		{"OPTS MLST", "200  MLST OPTS type;size;sizd;modify;UNIX.mode;UNIX.uid;UNIX.gid;unique;"},
		{"OPTS", "504 Unknown command"},
		{"AUTH 234", "234 AUTH TLS OK."},
		{"AUTH 504", "500 This security scheme is not implemented"},
		{"AUTH 502", "500 This security scheme is not implemented"},
		{"AUTH 503", "500 This security scheme is not implemented"},
		{"PBSZ 503", "503 PBSZ=0"},
		{"PROT C 200", "200 Data protection level set to \"clear\""},
		{"PROT 200", "200 Data protection level set to \"private\""},
		{"PROT 504", "534 Fallback to [C]"},
		{"NOOP", "200 Zzz..."},
		{"ALLO", "200 A L'HUILE"},
		{"ACCT", "202 Please tell me who you are"},
		{"MODE S 200", "200 S OK"},
		{"MODE B", "504 Please use S(tream) mode"},
		{"MODE Z", "504 Please use S(tream) mode"},
		{"MODE 504", "504 Please use S(tream) mode"},
		{"STRU 200", "200 F OK"},
		{"STRU 504", "504 Only F(ile) is supported"},
		{"TYPE A 200", "200 TYPE is now ASCII"},
		{"TYPE 200", "200 TYPE is now 8-bit binary"},
		{"TYPE 504", "504-Unknown TYPE: {arg}\n504 TYPE is now ASCII"},
		{"SITE CHMOD 200", "200 Permissions changed on {name}"},
		{"SITE CHMOD 501", "501 Missing argument"},
		{"SITE CHMOD 550", "550 Could not change perms on {name}: No such file or directory"},
		{"SITE 501", "500 SITE {arg} is an unknown extension"},
		{"PWD 257", "257 \"{path}\" is your current location"},
		{"CWD 250", "250 OK. Current directory is {cwd}"},
		{"CDUP 250", "250 OK. Current directory is {cwd}"},
		{"CWD 550 not a directory", "550 Can't change directory to {arg}: Not a directory"},
		{"CWD 550", "550 Can't change directory to {arg}: No such file or directory"},
		{"MKD 257", "257 \"{arg}\" : The directory was successfully created"},
		{"MKD 550 exists", "550 Can't create directory: File exists"},
		{"MKD 550", "550 Can't create directory: No such file or directory"},
		{"RMD 250", "250 The directory was successfully removed"},
		{"RMD 550 not empty", "550 Can't remove directory: Directory not empty"},
		{"RMD 550 not a directory", "550 Can't remove directory: Not a directory"},
		{"RMD 550", "550 Can't remove directory: No such file or directory"},
		{"SIZE 550 TYPE I", "213 {size}"},
		{"SIZE/ 550", "550 I can only retrieve regular files"},
		{"SIZE 550", "550 Can't check for file existence"},
		{"SIZE 501", "501 Missing argument"},
		{"MDTM #", "550 Can't check for file existence"},
		{"MDTM/ 213", "550 I can only retrieve regular files"},
		{"MDTM 550", "550 Can't check for file existence"},
		{"MLST 250", "250-Begin\n {facts} {arg}\n250 End."},
		{"MLST 550", "550 Can't check for file existence"},
		{"DELE 250", "250 Deleted {arg}"},
		{"DELE/ 550", "550 Could not delete {arg}: Invalid argument"},
		{"DELE 550", "550 Could not delete {arg}: No such file or directory"},
		{"DELE 501", "501 No file name"},
		{"RNFR 350", "350 RNFR accepted - file exists, ready for destination"},
		{"RNFR 550", "550 Sorry, but that file doesn't exist"},
		{"RNTO 250", "250 File successfully renamed or moved"},
		{"RNTO 503", "503 Need RNFR before RNTO"},
		{"RNTO 550", "451 Rename/move failure: No such file or directory"},
		{"MFMT 213", "213 UTIME OK"},
		{"MFMT 550", "550 utime({name}): No such file or directory"},
		{"REST 350", "350 Restarting at {arg}"},
		{"REST 501", "554-REST needs a numeric parameter\n554 Restart offset reset to 0"},
		{"EPSV 229", "229 Extended Passive mode OK (|||{port}|)"},
		{"PASV 227", "227 Entering Passive Mode ({addr})"},
		{"PORT 200", "200 PORT command successful"},
		{"PORT 504 it is not the host", "500 I won't open a connection to {host} (only to 127.0.0.1)"},
		{"EPRT 200", "200 PORT command successful"},
		{"EPRT 504 ports below 1024", "501 Sorry, but I won't connect to ports < 1024"},
		{"EPRT 522", "522 Only IPv4 is supported (1)"},
		{"RETR/ 550", "550 I can only retrieve regular files"},
		{"RETR 550", "550 Can't open {arg}: No such file or directory"},
		{"RETR 226", "226-File successfully transferred\n226 0.000 seconds (measured here), 100.00 Kbytes per second"},
		{"STOR/ 550", "553 Can't open that file: Is a directory"},
		{"STOR 550", "553 Can't open that file: No such file or directory"},
		{"STOR 226", "226-File successfully transferred\n226 0.000 seconds (measured here), 100.00 Kbytes per second"},
		{"APPE 226", "226-File successfully transferred\n226 0.000 seconds (measured here), 100.00 Kbytes per second"},
		{"LIST _ _", "150 Accepted data connection\n226-Options: -l \n226 0 matches total"}, // it reads two words as two patterns
		{"LIST -a 226", "226-Options: -a -l \n226 {count} matches total"},
		{"LIST 226", "226-Options: -l \n226 {count} matches total"},
		{"LIST 550", "150 Accepted data connection\n226-Options: -l \n226 0 matches total"},
		{"NLST 226", "226 {count} matches total"},
		{"MLSD 226", "226 {count} matches total"},
		{"NLST 550", "550 Can't check for file existence"},
		{"MLSD 550", "550 Can't check for file existence"},
		{"MLSD 501", "550 Can't check for file existence"},
		{"* 150", "150 Accepted data connection"},
		{"STAT 213", "213-STAT\n{list}\n213 End."},
		{"STAT 550", "213-STAT\n213 End."},
		{"ABOR 226", "226 Since you see this ABOR must've succeeded"},
		{"QUIT 221", "221-Goodbye. You uploaded 1 and downloaded 1 kbytes.\n221 Logout."},
	},
	List: func(e *ftp.Entry) string {
		return fmt.Sprintf("%s %4d %-10s %-10s %10d %s %s", letters(e), max(e.Links, 1), "ftp", "ftp", e.Size, when(e.Modified, "_2"), shown(e))
	},
	Facts: func(e *ftp.Entry) string {
		fact := "size"
		if e.IsDir() {
			fact = "sizd"
		}
		return fmt.Sprintf("type=%s;%s=%d;modify=%s;UNIX.mode=%#o;UNIX.uid=65534;UNIX.gid=65534;unique=%s;",
			e.Type, fact, size(e), e.Modified.Format("20060102150405"), e.Mode&fs.ModePerm, e.Unique)
	},
	Hidden: []string{"LIST -a", "NLST", "NLST -a", "MLSD"},
	Dots:   []string{"LIST -a", "NLST", "NLST -a", "MLSD"},
}
