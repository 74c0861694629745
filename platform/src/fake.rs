//! A scripted host.
