package resident

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// The initialization of packages is a step of the start, too, and the largest. The runtime initializes packages without
// many imports, like this one, after about half of the others. In one step, the start of a client would need 4 MiB
// more than all that it does later.
func init() { Release() }

// Release gives back the memory of a step of the start.
func Release() {
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
