//! What a look at the machine costs, beside what users would pick instead: see `side_by_side/bench.rs`. Linux only: it plays in namespaces and reads `/proc`.

#[cfg(target_os = "linux")]
#[path = "side_by_side/bench.rs"]
mod bench;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    bench::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
