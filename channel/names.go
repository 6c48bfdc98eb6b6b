package channel

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
	"sync"
)

//go:embed *.yaml
var files embed.FS

// Names returns the names of the built-in channels, sorted.
func Names() []string {
	entries, err := fs.Glob(files, "*.yaml")
	if err != nil {
		panic("channel: the embedded pattern is wrong: " + err.Error()) // only a wrong pattern fails
	}
	names := make([]string, len(entries))
	for i, name := range entries {
		names[i] = strings.TrimSuffix(name, ".yaml")
	}
	return names
}

// Load returns a built-in channel, which is parsed once per process. An unknown
// name is an error that lists the known ones and says how to name a file of one's
// own.
func Load(name string) (*Channel, error) {
	load, ok := builtin()[name]
	if !ok {
		return nil, fmt.Errorf("no built-in channel %q (there is: %s); an operator's own file is named by its path, for instance ./%s.yaml",
			name, strings.Join(Names(), ", "), name)
	}
	return load()
}

// builtin has a loader for each embedded file. A channel is immutable, so every
// route and every configuration can share it.
var builtin = sync.OnceValue(func() map[string]func() (*Channel, error) {
	loaders := make(map[string]func() (*Channel, error))
	for _, name := range Names() {
		loaders[name] = sync.OnceValues(func() (*Channel, error) {
			src, err := files.ReadFile(name + ".yaml")
			if err != nil {
				return nil, err
			}
			return Parse(name+".yaml", src)
		})
	}
	return loaders
})
