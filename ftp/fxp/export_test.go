package fxp

// MayEndBetter reports whether Copy tries again.
var MayEndBetter = worthRetrying
