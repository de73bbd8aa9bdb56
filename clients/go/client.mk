CLIENTS += go
go.needs := Go 1.25 or newer
go.present := go version | grep -E 'go1\.(2[5-9]|[3-9][0-9])'
go.generated := clients/go/runsvc/v1
go.generators := .tools/.ready-go

.tools/.ready-go: clients/go/client.mk
	@echo "Installing the code generators for Go into .tools"
	@mkdir -p .tools/bin
	@GOBIN=$(CURDIR)/.tools/bin go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
	@GOBIN=$(CURDIR)/.tools/bin go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2
	@touch $@

go.check := check-client-go
.PHONY: check-client-go
# The race detector needs cgo.
check-client-go:
	@cd clients/go && gofmt -d . && test -z "$$(gofmt -l .)" && go mod tidy -diff && go vet ./... && \
	  go test $$([ "$$(go env CGO_ENABLED)" = 1 ] && echo -race) ./...

go.docs := docs-client-go
.PHONY: docs-client-go
docs-client-go: # Build the Go client's reference pages into build/docs/go
	@cd clients/go && go run ./internal/reference $(CURDIR)/build/docs/go

.PHONY: .tools/drivers/go
.tools/drivers/go:
	@cd clients/go && go build -o ../../$@ ./internal/conformance

go.dist := dist-go
.PHONY: dist-go
dist-go:
	@echo "Building the Go module"
	@release/go_module.sh $(RELEASE) dist/go
