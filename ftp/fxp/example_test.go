package fxp_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"miniftp/ftp/client"
	"miniftp/ftp/fxp"
)

// The two servers copy the file between them. If they refuse, it is copied through this program.
func ExampleCopy() {
	from := client.NewPool("old.example.com", 1, &client.Options{User: "anna", Password: "secret"})
	to := client.NewPool("new.example.com", 1, &client.Options{User: "anna", Password: "secret"})
	defer from.Close()
	defer to.Close()
	plan := fxp.Plan{
		From: fxp.File{Pool: from, Path: "/backup.tar"}, To: fxp.File{Pool: to, Path: "/backup.tar"},
		Retry: client.Retry{Times: 3},
	}
	res, err := fxp.Copy(context.Background(), plan)
	if errors.As(err, new(*fxp.NoWayError)) {
		plan.Through = true
		res, err = fxp.Copy(context.Background(), plan)
	}
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(res.Bytes, "bytes,", res.Verified)
}
