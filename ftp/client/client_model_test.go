package client_test

import (
	"context"
	"testing"

	"miniftp/ftp/client"
	"miniftp/ftp/internal/transfertest"
)

// modelWays are the ways in which a Client moves a file.
var modelWays = []transfertest.Way{
	modelWay("get", false, client.FileOptions{KeepTime: true}),
	modelWay("get -c", false, client.FileOptions{KeepTime: true, Resume: true}),
	modelWay("get, without times", false, client.FileOptions{}),
	modelWay("put", true, client.FileOptions{KeepTime: true}),
}

func modelWay(name string, up bool, o client.FileOptions) transfertest.Way {
	way := transfertest.Way{
		Name: name, Up: up, Run: modelRun(up, o),
		Tries: func() transfertest.Run { return modelRun(up, client.Tried(o, new(client.Tries))) },
	}
	if anew := o; anew.Resume {
		anew.Resume = false
		way.Anew = modelRun(up, anew)
	}
	return way
}

func modelRun(up bool, o client.FileOptions) transfertest.Run {
	return func(ctx context.Context, w *transfertest.World) error {
		c, err := client.Dial(ctx, w.Addr(), nil)
		if err != nil {
			return err
		}
		defer c.Close()
		if up {
			_, err = c.Upload(ctx, w.Dir+"/s/f", "/d/f", o)
		} else {
			_, err = c.Download(ctx, "/s/f", w.Dir+"/d/f", over(w.FS(), o))
		}
		return err
	}
}

func TestClientModel(t *testing.T) { transfertest.Model(t, modelWays) }

func TestClientModelLong(t *testing.T) { transfertest.ModelLong(t, modelWays) }
