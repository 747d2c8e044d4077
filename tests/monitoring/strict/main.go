// strict reads YAML documents from stdin and decodes each into the type of its apiVersion and kind as Kubernetes itself does,
// refusing unknown and doubled fields. Kinds of other projects (ServiceMonitor) are named and passed over.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

func main() {
	decoder := serializer.NewCodecFactory(scheme.Scheme, serializer.EnableStrict).UniversalDeserializer()
	documents := yaml.NewYAMLReader(bufio.NewReader(os.Stdin))
	failed := false
	for {
		document, err := documents.Read()
		if err == io.EOF {
			break
		}
		if err != nil {
			fmt.Println("not YAML:", err)
			os.Exit(1)
		}
		_, kind, err := decoder.Decode(document, nil, nil)
		switch {
		case runtime.IsMissingKind(err): // comments only
		case runtime.IsNotRegisteredError(err):
			fmt.Println("foreign:", err)
		case err != nil:
			failed = true
			fmt.Println("refused:", kind, err)
		default:
			fmt.Println("ok:", kind)
		}
	}
	if failed {
		os.Exit(1)
	}
}
