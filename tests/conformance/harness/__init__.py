"""Runs CPython's installed test.test_asyncio on another implementation of asyncio."""
