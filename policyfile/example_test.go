package policyfile_test

import (
	"fmt"
	"strings"
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

func ExampleDecode() {
	var config struct {
		Listen  string
		Timeout time.Duration
		Policy  policyfile.Policy
	}
	fields, err := policyfile.Decode("config.json", []byte(`{
  "listen": ":8080",
  "timeout": "30s",
  "policy": {
    "attempt_timeout": "5s",
    "max_elapsed": "2s"
  }
}`), &config)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = config.Policy.Build("upstream")
	err = fields.Blame("policy", err)
	fmt.Println(config.Timeout)
	fmt.Println(strings.ReplaceAll(err.Error(), ": ", ":\n\t"))
	// Output:
	// 30s
	// config.json:5:
	//	policy.attempt_timeout:
	//	rebound:
	//	Policy.AttemptTimeout is 5s, which is more than the 2s of MaxElapsed:
	//	want at most that
}
