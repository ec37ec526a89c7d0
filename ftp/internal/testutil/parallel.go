package testutil

import (
	"flag"
	"runtime"
	"strconv"
)

// waiters is the number of parallel tests for each processor. Most tests spend their time waiting
// for a timer, a stock peer or the network.
const waiters = 3

// RunParallel allows more parallel tests than there are processors, unless the command line sets
// -parallel. TestMain must call it before it runs the tests.
func RunParallel() {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		_ = flag.Set("test.parallel", strconv.Itoa(waiters*runtime.GOMAXPROCS(0)))
	}
}
