"""Random coroutine programs in simulated time: their steps, their runs, their comparison."""
