package flags

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// ReleaseStart gives back memory that only the start of the program needed: the pages of its
// executable and libraries that were read to set up flags, help and settings. The kernel maps a
// page again from its cache when it is needed. Calling this after each step of the start limits the
// peak resident memory of a client to that of one step.
func ReleaseStart() {
	for _, m := range filePages() {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(m.begin), uintptr(m.end-m.begin), unix.MADV_DONTNEED)
	}
}

// mapping is a range of addresses.
type mapping struct{ begin, end uint64 }

// filePages returns the file mappings that are never written to. A mapping with modified pages,
// such as relocations, is left out: MADV_DONTNEED would discard them.
var filePages = sync.OnceValue(func() (all []mapping) {
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		return nil
	}
	defer maps.Close()
	var m mapping
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) >= 5 && strings.Contains(f[0], "-"): // 00400000-00a6d000 r-xp 00000000 00:2a 123 /usr/bin/miniftp
			m = mapping{}
			if len(f) == 6 && strings.HasPrefix(f[5], "/") && (f[1] == "r-xp" || f[1] == "r--p") {
				from, to, _ := strings.Cut(f[0], "-")
				m.begin, _ = strconv.ParseUint(from, 16, 64)
				m.end, _ = strconv.ParseUint(to, 16, 64)
			}
		case len(f) == 3 && f[0] == "Anonymous:" && f[1] == "0" && m.begin < m.end:
			all = append(all, m)
		}
	}
	return all
})
