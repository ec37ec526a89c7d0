package main

import "github.com/urfave/cli/v2"

func (e *env) demo() *cli.Command { return &cli.Command{Name: "demo"} }
