"""A simulated park on real wires, for the demo, the tests and the bench. All its data is simulated."""
