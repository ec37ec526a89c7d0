package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"miniftp/cmd/miniftp/internal/verb/verbtest"
)

// This file runs a program under the restrictions of docs/systemd/miniftp.service, as far as they can be had without systemd:
// the user without capabilities, NoNewPrivileges, the file systems read-only but for some directories, and a filter
// of system calls. A call that the unit would refuse kills the program here, so that none goes unnoticed.

// confinement is what the helper process gets. It is in the environment variable confineVariable.
type confinement struct {
	UID, GID int
	Writable []string // directories; no others can be written to
	Calls    []int    // the numbers of the allowed system calls
	Families []int    // the allowed address families
}

const confineVariable = "MINIFTP_TEST_CONFINE"

// The test binary is the helper process: it confines itself and becomes the program.
func init() {
	text := os.Getenv(confineVariable)
	if text == "" {
		return
	}
	_ = os.Unsetenv(confineVariable)
	var c confinement
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		err = c.become(os.Args[1:])
	}
	fmt.Fprintln(os.Stderr, "can't confine the program:", err)
	os.Exit(125)
}

// become confines this thread and replaces the process by a program. It returns only if that fails.
func (c *confinement) become(args []string) error {
	runtime.LockOSThread()
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := c.closeFiles(); err != nil {
		return err
	}
	if err := os.Chdir(dir); err != nil { // below the new mount
		return err
	}
	program, err := c.filter()
	if err != nil {
		return err
	}
	path, err := syscall.BytePtrFromString(args[0])
	if err != nil {
		return err
	}
	argv, err := syscall.SlicePtrFromStrings(args)
	if err != nil {
		return err
	}
	envv, err := syscall.SlicePtrFromStrings(os.Environ())
	if err != nil {
		return err
	}
	for capability := range unix.CAP_LAST_CAP + 1 {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(capability), 0, 0, 0); err != nil {
			return fmt.Errorf("capability %d: %w", capability, err)
		}
	}
	if err := syscall.Setgroups([]int{c.GID}); err != nil {
		return err
	}
	if err := syscall.Setgid(c.GID); err != nil {
		return err
	}
	if err := syscall.Setuid(c.UID); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	prog := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		return fmt.Errorf("seccomp: %w", err)
	}
	// Not syscall.Exec, which sets a limit that the unit does not allow.
	_, _, errno := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(path)), uintptr(unsafe.Pointer(&argv[0])), uintptr(unsafe.Pointer(&envv[0])))
	return errno
}

// closeFiles makes all file systems read-only for this thread, except c.Writable.
func (c *confinement) closeFiles() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	for _, dir := range c.Writable {
		if err := unix.Mount(dir, dir, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}); err != nil {
		return fmt.Errorf("read-only: %w", err)
	}
	for _, dir := range c.Writable {
		if err := unix.MountSetattr(unix.AT_FDCWD, dir, 0, &unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}); err != nil {
			return fmt.Errorf("%s: %w", dir, err)
		}
	}
	return nil
}

// Offsets in struct seccomp_data.
const (
	callOffset = 0
	archOffset = 4
	argOffset  = 16 // of the first argument, 8 bytes each, the low half first
)

const namespaces = unix.CLONE_NEWNS | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWUSER | unix.CLONE_NEWPID | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP

// filter returns the filter of system calls, for SystemCallFilter, SystemCallArchitectures, RestrictAddressFamilies,
// RestrictNamespaces, RestrictSUIDSGID and MemoryDenyWriteExecute.
func (c *confinement) filter() ([]unix.SockFilter, error) {
	kill, allow := bpf.RetConstant{Val: unix.SECCOMP_RET_KILL_PROCESS}, bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW}
	refuse := func(errno unix.Errno) bpf.Instruction {
		return bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(errno)}
	}
	const arch = 0xc000003e // AUDIT_ARCH_X86_64
	p := []bpf.Instruction{
		bpf.LoadAbsolute{Off: archOffset, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: arch, SkipTrue: 1},
		kill,
		bpf.LoadAbsolute{Off: callOffset, Size: 4},
	}
	// when adds a rule for one call: the instructions look at its arguments.
	when := func(call int, rule ...bpf.Instruction) {
		rule = append(rule, allow)
		p = append(p, bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(call), SkipFalse: uint8(len(rule))})
		p = append(p, rule...)
	}
	arg := func(n int) bpf.Instruction { return bpf.LoadAbsolute{Off: argOffset + 8*uint32(n), Size: 4} }
	special := []int{unix.SYS_SOCKET, unix.SYS_CLONE, unix.SYS_CLONE3, unix.SYS_UNSHARE, unix.SYS_SETNS, unix.SYS_CHMOD, unix.SYS_FCHMOD, unix.SYS_FCHMODAT, unix.SYS_MMAP, unix.SYS_MPROTECT}

	var families []bpf.Instruction
	for _, family := range c.Families {
		families = append(families, bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(family), SkipFalse: 1}, allow)
	}
	when(unix.SYS_SOCKET, append(append([]bpf.Instruction{arg(0)}, families...), kill)...)
	when(unix.SYS_CLONE, arg(0), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: namespaces, SkipFalse: 1}, kill)
	when(unix.SYS_UNSHARE, arg(0), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: namespaces, SkipFalse: 1}, kill)
	when(unix.SYS_SETNS, kill)
	when(unix.SYS_CLONE3, refuse(unix.ENOSYS)) // as systemd does, because a filter can't see its flags
	for call, mode := range map[int]int{unix.SYS_CHMOD: 1, unix.SYS_FCHMOD: 1, unix.SYS_FCHMODAT: 2} {
		when(call, arg(mode), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: unix.S_ISUID | unix.S_ISGID, SkipFalse: 1}, refuse(unix.EPERM))
	}
	when(unix.SYS_MMAP, arg(2), bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: unix.PROT_WRITE | unix.PROT_EXEC},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PROT_WRITE | unix.PROT_EXEC, SkipFalse: 1}, kill)
	when(unix.SYS_MPROTECT, arg(2), bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: unix.PROT_EXEC, SkipFalse: 1}, kill)
	for _, call := range c.Calls {
		if !slices.Contains(special, call) {
			when(call)
		}
	}
	raw, err := bpf.Assemble(append(p, kill))
	if err != nil {
		return nil, err
	}
	program := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		program[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	return program, nil
}

// confinedBy returns the restrictions of a unit. The test is skipped if it does not run as root.
func confinedBy(t *testing.T, name string, writable ...string) *confinement {
	t.Helper()
	analyze := verbtest.StockProgram(t, "systemd-analyze")
	if os.Geteuid() != 0 {
		t.Skip("only root can make file systems read-only")
	}
	c := &confinement{UID: 12345, GID: 12346, Writable: writable}
	settings := unit(t, name)
	allowed := map[string]bool{}
	for _, list := range settings["SystemCallFilter"] {
		names, removed := strings.CutPrefix(list, "~")
		for _, call := range expand(t, analyze, strings.Fields(names)) {
			allowed[call] = !removed
		}
	}
	numbers := callNumbers(t)
	for call, yes := range allowed {
		if n, known := numbers[call]; yes && known {
			c.Calls = append(c.Calls, n)
		}
	}
	if len(c.Calls) < 100 || slices.Contains(c.Calls, unix.SYS_MOUNT) || slices.Contains(c.Calls, unix.SYS_SETUID) {
		t.Fatalf("the filter allows %d calls", len(c.Calls))
	}
	for _, family := range strings.Fields(strings.Join(settings["RestrictAddressFamilies"], " ")) {
		c.Families = append(c.Families, map[string]int{"AF_INET": unix.AF_INET, "AF_INET6": unix.AF_INET6, "AF_UNIX": unix.AF_UNIX, "AF_NETLINK": unix.AF_NETLINK}[family])
	}
	return c
}

// expand replaces the groups of system calls by their members.
func expand(t *testing.T, analyze string, names []string) (all []string) {
	t.Helper()
	for _, name := range names {
		if name[0] != '@' {
			all = append(all, name)
			continue
		}
		out, err := exec.CommandContext(t.Context(), analyze, "--no-pager", "syscall-filter", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		var members []string
		for line := range strings.Lines(string(out)) {
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' && line != name {
				members = append(members, line)
			}
		}
		all = append(all, expand(t, analyze, members)...)
	}
	return all
}

// callNumbers returns the numbers of the system calls by name. Package unix has them as constants only, so they are
// read from its source.
func callNumbers(t *testing.T) map[string]int {
	t.Helper()
	dir, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "golang.org/x/sys/unix").Output()
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "zsysnum_linux_amd64.go"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]int{}
	for _, m := range regexp.MustCompile(`(?m)^\s+SYS_(\w+)\s+= (\d+)$`).FindAllSubmatch(source, -1) {
		all[strings.ToLower(string(m[1]))], _ = strconv.Atoi(string(m[2]))
	}
	return all
}

// command returns a command that runs miniftp under the restrictions.
func (c *confinement) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	program := verbtest.Program(t)
	if err := os.Chmod(filepath.Dir(program), 0o755); err != nil { // for the user
		t.Fatal(err)
	}
	cmd := verbtest.Command(t, self, append([]string{program}, args...)...)
	cmd.Dir = c.Writable[0]
	cmd.Env = append(cmd.Env, confineVariable+"="+string(text), "HOME="+cmd.Dir, "XDG_STATE_HOME="+cmd.Dir, "XDG_RUNTIME_DIR="+cmd.Dir)
	return cmd
}

// TestConfinement: the restrictions of the tests restrict.
func TestConfinement(t *testing.T) {
	t.Parallel()
	dir := openDirectory(t)
	c := confinedBy(t, "miniftp.service", filepath.Join(dir, "in"))
	run := func(what string) string {
		cmd := c.command(t)
		cmd.Args = []string{cmd.Args[0], "/bin/sh", "-c", what}
		out, _ := cmd.CombinedOutput()
		return string(out) + cmd.ProcessState.String()
	}
	if got := run("echo x >" + dir + "/in/f && cat " + dir + "/in/f"); !strings.HasPrefix(got, "x") {
		t.Error(got)
	}
	for what, want := range map[string]string{
		"echo x >" + dir + "/out/f":                          "Read-only file system",
		"cat /proc/self/status":                              "NoNewPrivs:\t1",
		"grep CapBnd /proc/self/status":                      "CapBnd:\t0000000000000000",
		"exec unshare -n true":                               "signal: bad system call",
		"exec mount -t tmpfs x " + dir + "/in":               "signal: bad system call",
		"exec nice true":                                     "signal: bad system call",
		"chmod 4755 " + dir + "/in/f":                        "Operation not permitted",
		"chgrp " + strconv.Itoa(c.GID) + " " + dir + "/in/f": "exit status 0",
	} {
		if got := run(what); !strings.Contains(got, want) {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
}

// openDirectory returns a directory with two others, in and out, which belong to the user of the tests.
func openDirectory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "miniftp-unit")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for _, name := range []string{".", "in", "out"} {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(name, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(name, 12345, 12346); err != nil && os.Geteuid() == 0 {
			t.Fatal(err)
		}
	}
	return dir
}
