//! What the service costs while nothing happens: see `idle/bench.rs`. Linux only: it plays in namespaces and reads `/proc`.

#[cfg(target_os = "linux")]
#[path = "idle/bench.rs"]
mod bench;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    bench::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
