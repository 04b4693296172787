"""Tests of the Python interpreters: a fake driver on real sockets and pipes, and a real Spark behind a stand-in JVM."""
