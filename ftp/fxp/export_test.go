package fxp

// MayEndBetter is whether Copy tries again.
var MayEndBetter = mayEndBetter
