//! Runs the body of a test in a private PID namespace: the test function runs twice, once outside to make the
//! namespace, once inside to do its work.

use std::process::Output;

use crate::pid_namespace::PidNamespace;

/// The variable that is set inside to the name of the test whose body is to run.
const INSIDE: &str = "TESTKIT_TEST";

/// The name of the test function around it, as the test harness knows it.
#[macro_export]
macro_rules! test_name {
    () => {{
        fn here() {}
        $crate::in_namespace::name_of_test(std::any::type_name_of_val(&here))
    }};
}

/// `module::test` from the type name `crate::module::test::here` (or `…::test::{{closure}}::here`).
#[must_use]
pub fn name_of_test(type_name: &'static str) -> &'static str {
    let name = type_name.strip_suffix("::here").unwrap_or(type_name).trim_end_matches("::{{closure}}");
    name.split_once("::").map_or(name, |(_, rest)| rest)
}

/// Runs the body of a test in a private PID namespace. `name` must be [`test_name!`](crate::test_name). The test binary
/// is started again inside, for this test only; there `body` is called, and a panic in it fails the test with all that
/// was printed. Where the machine does not allow such a namespace, standard error says so and the test is skipped.
pub fn in_namespace(namespace: &PidNamespace, name: &str, body: impl FnOnce()) {
    if std::env::var(INSIDE).is_ok_and(|inside| inside == name) {
        body();
        return;
    }
    let exe = std::env::current_exe().expect("a test knows its own executable");
    let args = ["--exact", name, "--nocapture", "--include-ignored", "--test-threads=1"];
    match namespace.clone().env(INSIDE, name).run(exe, &args) {
        Err(reason) => skip(name, &reason.to_string()),
        Ok(output) => check(name, &output),
    }
}

/// Prefixes of lines that are shown even when the test passes.
const ALWAYS_SHOWN: [&str; 2] = ["skipped: ", "measured: "];

/// Reports that a test was skipped, and why; the harness does not capture it.
pub fn skip(name: &str, reason: &str) {
    report(&format!("skipped: {name}: {reason}"));
}

/// Reports a measured figure; the harness does not capture it, inside the namespace either.
pub fn measured(what: &str) {
    report(&format!("measured: {what}"));
}

fn report(line: &str) {
    use std::io::Write as _;
    drop(writeln!(std::io::stderr(), "{line}"));
}

fn check(name: &str, output: &Output) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    for line in err.lines().filter(|line| ALWAYS_SHOWN.iter().any(|prefix| line.starts_with(prefix))) {
        report(line);
    }
    // A name that matches no test would "pass" as well.
    let has_run = out.contains("1 passed");
    assert!(output.status.success() && has_run, "{name} in its namespace: {}\n{out}\n{err}", output.status);
}
