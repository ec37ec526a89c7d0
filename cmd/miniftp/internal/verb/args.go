package verb

import "github.com/urfave/cli/v2"

// WantArgs is the error for a wrong number of arguments.
func WantArgs(c *cli.Context, least, most int) error {
	n := c.NArg()
	switch takes, verb := c.Command.ArgsUsage, c.Command.HelpName; {
	case n >= least && (most < 0 || n <= most):
		return nil
	case takes == "":
		return Usagef("%s takes no argument", verb)
	default:
		return Usagef("%s takes %s; %s --help shows examples", verb, takes, verb)
	}
}
