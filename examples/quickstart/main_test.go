package main

func Example() {
	main()
	// Output:
	// attempt 1 failed: connection reset; retry follows
	// attempt 2 failed: connection reset; retry follows
	// hello <nil>
}
