//! One test function that is both: outside, it raises the stage; inside, it directs the scene.

use std::process::Output;

use crate::stage::Stage;

/// Set for the director: the name of the test it plays.
const SCENE: &str = "TESTKIT_SCENE";

/// The name of the test function around it, as the test harness knows it.
#[macro_export]
macro_rules! here {
    () => {{
        fn here() {}
        $crate::scene::test_name(std::any::type_name_of_val(&here))
    }};
}

/// `module::test` from the type name `crate::module::test::here` (or `…::test::{{closure}}::here`).
#[must_use]
pub fn test_name(type_name: &'static str) -> &'static str {
    let name = type_name.strip_suffix("::here").unwrap_or(type_name).trim_end_matches("::{{closure}}");
    name.split_once("::").map_or(name, |(_, rest)| rest)
}

/// Plays a test on a stage. `name` must be [`here!`](crate::here). The test process runs itself again as the
/// director, only for this test; there, `direct` is called, and a panic in it fails the test with all that was
/// printed. Where the machine does not allow it, this says so on standard error and the test is skipped.
pub fn play(stage: &Stage, name: &str, direct: impl FnOnce()) {
    if std::env::var(SCENE).is_ok_and(|playing| playing == name) {
        direct();
        return;
    }
    let exe = std::env::current_exe().expect("a test knows its own executable");
    let args = ["--exact", name, "--nocapture", "--include-ignored", "--test-threads=1"];
    match stage.clone().env(SCENE, name).run(exe, &args) {
        Err(reason) => skip(name, &reason.to_string()),
        Ok(output) => judge(name, &output),
    }
}

/// What a scene says to whoever runs the tests, even when all is well.
const TOLD: [&str; 2] = ["skipped: ", "measured: "];

/// Says loudly that a test was skipped, and why; past the harness's capture of output.
pub fn skip(name: &str, reason: &str) {
    tell(&format!("skipped: {name}: {reason}"));
}

/// Tells a figure that was measured; past the harness's capture of output, from on the stage too.
pub fn measured(what: &str) {
    tell(&format!("measured: {what}"));
}

fn tell(line: &str) {
    use std::io::Write as _;
    drop(writeln!(std::io::stderr(), "{line}"));
}

fn judge(name: &str, output: &Output) {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    for line in err.lines().filter(|line| TOLD.iter().any(|prefix| line.starts_with(prefix))) {
        tell(line);
    }
    // A name that matches no test would "pass" as well.
    let played = out.contains("1 passed");
    assert!(output.status.success() && played, "{name} on its stage: {}\n{out}\n{err}", output.status);
}
