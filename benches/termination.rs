//! The cost of ending many orphans beside common implementations: see `termination/bench.rs`. Linux only, in
//! namespaces.

#[cfg(target_os = "linux")]
#[path = "termination/bench.rs"]
mod bench;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    bench::main()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
