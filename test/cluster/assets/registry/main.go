// SPDX-License-Identifier: Apache-2.0

// Command hansa-registry is the CNCF distribution registry with only what tests
// need: blobs on disk, and both kinds of authentication. The upstream main also
// links the storage drivers of three clouds, which take most of the time to build.
package main

import (
	"os"

	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"
	_ "github.com/distribution/distribution/v3/registry/auth/token"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

func main() {
	if err := registry.RootCmd.Execute(); err != nil {
		os.Exit(1)
	}
}
