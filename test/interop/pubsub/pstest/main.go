// Google's own fake of the service (pstest), as a process: prints where it listens.
package main

import (
	"fmt"
	"os"

	"cloud.google.com/go/pubsub/v2/pstest"
)

func main() {
	server := pstest.NewServer()
	fmt.Println(server.Addr)
	buffer := make([]byte, 1)
	os.Stdin.Read(buffer)
	server.Close()
}
