# Every target is a line that can be typed; `make help` lists them.
T ?= 20000x

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1	/p' Makefile | expand -t 15

check: ## format, vet, lint, and test with the race detector
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	go vet ./...
	bash .ci/lint
	go test -race -shuffle=on ./...

test: ## the README's test command
	go test ./...

fuzz: ## every fuzz target, T inputs each (T=20000x)
	@for pkg in $$(go list ./...); do \
	  for f in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
	    echo "$$pkg $$f"; go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(T) $$pkg || exit 1; \
	  done; \
	done

soak: ## the faults, with the race detector, and all that is listed without end; some six minutes
	MINIFTP_SOAK=1 go test -race -count=1 -timeout 15m -run 'Fault|Sweep|Killed|Stopped' ./ftp/server ./cmd/miniftp/...
	MINIFTP_SOAK=1 go test -count=1 -timeout 15m -run 'HostileMemory|UploadModel|ClientModel|MirrorModel|GetsRound|NoReplyTells|TLS|Reuse|Peers|Stock|Interop|Batchers|SmallFiles' ./ftp/server ./ftp/client ./ftp/mirror ./ftp/fxp ./ftp/internal/peers ./cmd/miniftp/...
	$(MAKE) soak-restarts
	$(MAKE) soak-checks

soak-restarts: ## 300 clients while one server after the other is reloaded, drained and replaced (MINIFTP_SOAK_TIME=1m)
	MINIFTP_SOAK_TIME=$${MINIFTP_SOAK_TIME:-1m} go test -count=1 -v -timeout 60m -run 'TestRestarts' ./internal/soak

soak-checks: ## quotas, a checker and a receiver of events that fail, a full disk, and kills (MINIFTP_SOAK_TIME=1m for each of two storages)
	MINIFTP_SOAK_TIME=$${MINIFTP_SOAK_TIME:-1m} go test -count=1 -v -timeout 60m -run 'TestChecks' ./internal/soak

soak-nodes: ## three servers over one bucket (MINIFTP_SOAK_STORE=s3://…), one of which is killed every 5 s (MINIFTP_SOAK_TIME=30s)
	MINIFTP_SOAK_TIME=$${MINIFTP_SOAK_TIME:-30s} go test -count=1 -v -timeout 60m -run 'TestNodes|TestSharedNames' ./internal/soak

measure-nodes: ## the measurements of docs/scale.md (PART=TestMeasureMemory: that only)
	MINIFTP_MEASURE=1 go test -count=1 -v -timeout 60m -run '$(or $(PART),TestMeasure)' ./internal/soak

golden: ## write the golden files and generated docs anew
	go test ./cmd/miniftp ./cmd/miniftp/internal/demo ./cmd/miniftp/internal/explain ./cmd/miniftp/internal/metrics ./cmd/miniftp/internal/serve/settings ./ftp/server ./ftp -run 'Readme|Ladder|Real|Doc|Config|Protocol|API' -update

compare: ## ftp/client beside jlaffaye/ftp
	cd testdata/jlaffaye && go test -v -bench .

bench: ## measure servers, clients and growth for docs/performance.md (PART=clients: that only)
	go test ./ftp/internal/bench -run '^$$' -bench Peers -benchtime 1x -timeout 60m -part '$(PART)' -report $(CURDIR)/docs/performance.md

interop: ## the tests against stock clients and servers; none may be missing
	MINIFTP_REQUIRE_PEERS=1 go test -count=1 -run 'Interop|Stock|Peers' ./...

386: ## the tests on 32 bits
	GOARCH=386 go test ./ftp ./ftp/dtp ./fsroot

dist: ## build a release into dist/: six platforms, checksums, list of modules (VERSION=1.2.0)
	rm -rf dist
	go run ./internal/dist -version '$(VERSION)' -out dist

image: ## build a container image with buildah (IMAGE=miniftp)
	go run ./internal/dist -version '$(VERSION)' -image dist/image
	buildah bud --format docker --isolation chroot -f Containerfile -t $(or $(IMAGE),miniftp) dist/image

.PHONY: help check test fuzz soak soak-restarts soak-checks soak-nodes measure-nodes golden compare bench interop 386 dist image
