"""Random coroutine programs in simulated time: what they are made of, how they run, who compares."""
