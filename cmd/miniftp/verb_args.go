package main

import "github.com/urfave/cli/v2"

// wantArgs is the error for a wrong number of arguments.
func wantArgs(c *cli.Context, least, most int) error {
	n := c.NArg()
	switch takes, verb := c.Command.ArgsUsage, c.Command.HelpName; {
	case n >= least && (most < 0 || n <= most):
		return nil
	case takes == "":
		return usagef("%s takes no argument", verb)
	default:
		return usagef("%s takes %s; %s --help shows examples", verb, takes, verb)
	}
}
