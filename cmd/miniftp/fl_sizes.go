package main

import (
	"errors"
	"strconv"
	"strings"
)

// sizeUnits are the powers of a size's unit.
const sizeUnits = "kmgt"

// parseSize reads a number of bytes: 1500, 500k, 1.5M, 2GB or 2GiB. A unit is a power of
// base, one that ends in i or iB a power of 1024.
func parseSize(s string, base int64) (int64, error) {
	const most = 1e15
	digits := strings.ToLower(strings.TrimSpace(s))
	digits = strings.TrimSuffix(digits, "b")
	if cut, binary := strings.CutSuffix(digits, "i"); binary {
		digits, base = cut, 1024
		if digits == "" || !strings.ContainsAny(digits[len(digits)-1:], sizeUnits) {
			return 0, errors.New("not a size")
		}
	}
	unit := float64(1)
	if digits != "" {
		power := strings.IndexByte(sizeUnits, digits[len(digits)-1])
		for range power + 1 {
			unit *= float64(base)
		}
		if power >= 0 {
			digits = digits[:len(digits)-1]
		}
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || strings.Trim(digits, "0123456789.") != "" || !(n*unit <= most) {
		return 0, errors.New("not a size")
	}
	return int64(n * unit), nil
}

// byteRate reads bytes per second: 1500, 500k, 2M or 2GiB.
func byteRate(flag, s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	n, err := parseSize(s, 1000)
	if err != nil {
		return 0, usagef("%s %q: a rate is written as 500k, 2M or 2MiB, in bytes per second", flag, s)
	}
	return n, nil
}
