// Package bench measures miniftp's server beside stock servers, in one run and
// in turn, so that only ratios matter. It holds benchmarks only:
//
//	make bench
//
// runs them and writes docs/performance.md.
package bench
