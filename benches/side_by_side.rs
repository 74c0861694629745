//! The cost of a scan beside its alternatives: see `side_by_side/bench.rs`. Linux only: it runs in namespaces.

#[cfg(target_os = "linux")]
#[path = "side_by_side/bench.rs"]
mod bench;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    bench::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
