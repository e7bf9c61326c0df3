"""Servers that the tests start and stop by themselves: real ones, a scripted one, and a proxy with faults."""
