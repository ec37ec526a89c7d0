package mirror_test

import (
	"context"
	"testing"

	"github.com/spf13/afero"

	"miniftp/ftp/client"
	"miniftp/ftp/internal/transfertest"
	"miniftp/ftp/mirror"
)

// modelWays are the ways of a mirror to move a file.
var modelWays = []transfertest.Way{
	{Name: "mirror down", Run: modelRun(mirror.Plan{})},
	{Name: "mirror up", Up: true, Run: modelRun(mirror.Plan{})},
}

func modelRun(plan mirror.Plan) transfertest.Run {
	return func(ctx context.Context, w *transfertest.World) error {
		pool := client.NewPool(w.Addr(), 1, nil)
		defer pool.Close()
		plan := plan
		if w.Way.Up {
			plan.From, plan.To = mirror.Tree{FS: afero.NewOsFs(), Root: w.Dir + "/s"}, mirror.Tree{Pool: pool, Root: "/d"}
		} else {
			plan.From, plan.To = mirror.Tree{Pool: pool, Root: "/s"}, mirror.Tree{FS: w.FS(), Root: w.Dir + "/d"}
		}
		_, err := mirror.Run(ctx, plan)
		return err
	}
}

func TestMirrorModel(t *testing.T) { transfertest.Model(t, modelWays) }

func TestMirrorModelLong(t *testing.T) { transfertest.ModelLong(t, modelWays) }

func TestMirrorModelListings(t *testing.T) {
	transfertest.ModelListings(t, modelRun(mirror.Plan{Delete: true}))
}
