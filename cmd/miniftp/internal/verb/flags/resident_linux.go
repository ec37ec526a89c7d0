package flags

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// ReleaseStart gives back memory that only the start of the program needed: those pages of its own
// file and of its libraries that flags, help and settings are made with. The kernel maps a page
// again from its cache when it is needed. It is called after each step of the start, so that the
// highest resident memory of a client is that of one step.
func ReleaseStart() {
	for _, m := range filePages() {
		_, _, _ = unix.Syscall(unix.SYS_MADVISE, uintptr(m.begin), uintptr(m.end-m.begin), unix.MADV_DONTNEED)
	}
}

type mapping struct{ begin, end uint64 }

// filePages returns the mappings of files that nothing writes to. One with pages that were written
// to, such as those of relocations, is left out: it would lose them.
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
