package runsvc_test

import (
	"encoding/json"
	"go/format"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// TestReadmeCompiles checks that the README's Go blocks are formatted and, joined, are a program that compiles.
func TestReadmeCompiles(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, found := range goBlock.FindAllSubmatch(readme, -1) {
		blocks = append(blocks, string(found[1]))
	}
	program := strings.Join(blocks, "\n")
	formatted, err := format.Source([]byte(program))
	if err != nil {
		t.Fatal(err)
	}
	if string(formatted) != program {
		t.Fatalf("gofmt writes the blocks as:\n%s", formatted)
	}
	build(t, formatted)
}

// build compiles a program as if it were the package ./readme of this module.
func build(t *testing.T, program []byte) {
	t.Helper()
	source := filepath.Join(t.TempDir(), "main.go")
	target, err := filepath.Abs("readme/main.go")
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{target: source}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{source: program, source + ".json": overlay} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	output, err := exec.Command("go", "build", "-o", source+".out", "-overlay", source+".json", "./readme").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
}
