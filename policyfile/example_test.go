package policyfile_test

import (
	"fmt"
	"time"

	"github.com/rebound-go/rebound/policyfile"
)

const text = `{
  "policies": {
    "ocr": {
      "attempts": 5,
      "backoff": {"base": "500ms", "max": "3s", "jitter": "additive:0.5"},
      "retry": ["timeout", "connection", "io"],
      "breaker": {"failures": 5, "cooldown": "60s"}
    }
  }
}`

func ExampleParse() {
	file, err := policyfile.Parse("policies.json", []byte(text))
	if err != nil {
		fmt.Println(err)
		return
	}
	policy, err := file.Policy("ocr")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(policy.Name, policy.Attempts, policy.Schedule(4), policy.Breaker.Failures)
	// Output: ocr 5 [500ms 1s 2s 3s] 5
}

func ExampleLoad() {
	file, err := policyfile.Load("presets.json")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(file.Names())
	// Output: [aggressive conservative default rate-limit]
}

func ExampleError() {
	_, err := policyfile.Parse("policies.json", []byte(`{
  "policies": {
    "ocr": {
      "atempts": 5
    }
  }
}`))
	fmt.Println(err)
	// Output:
	// policies.json:4: policies.ocr.atempts: there is no such field: did you mean "attempts"?
}

func ExampleMarshal() {
	file := policyfile.File{Policies: map[string]policyfile.Policy{
		"ocr": {
			Attempts: 5,
			Backoff:  &policyfile.Backoff{Base: policyfile.Duration(time.Second), Jitter: "equal"},
		},
	}}
	data, err := policyfile.Marshal(&file)
	fmt.Println(string(data), err)
	// Output:
	// {
	//   "policies": {
	//     "ocr": {
	//       "attempts": 5,
	//       "backoff": {
	//         "base": "1s",
	//         "jitter": "equal"
	//       }
	//     }
	//   }
	// }
	//  <nil>
}

func ExamplePresets() {
	fmt.Println(policyfile.Presets().Names())
	// Output: [aggressive conservative default rate-limit]
}
