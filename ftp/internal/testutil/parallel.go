package testutil

import (
	"flag"
	"runtime"
	"strconv"
)

// waiters is how many parallel tests run at once for each processor. Most of them wait,
// for a timer, a stock peer or the network.
const waiters = 3

// RunParallel lets more parallel tests run at once than there are processors, unless the
// command line sets -parallel. TestMain calls it before it runs the tests.
func RunParallel() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(waiters*runtime.GOMAXPROCS(0)))
	}
}
