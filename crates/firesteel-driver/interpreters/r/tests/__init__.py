"""Tests of the R interpreter: a fake driver on real pipes, and queries answered by the test itself."""
