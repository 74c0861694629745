//! The cost of the idle service: see `idle/bench.rs`. Linux only: it runs in namespaces and reads `/proc`.

#[cfg(target_os = "linux")]
#[path = "idle/bench.rs"]
mod bench;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    bench::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
