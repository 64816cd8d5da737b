//! Starts real servers and real clients for the tests.
