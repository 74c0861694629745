//! One test for each bug that this program once had, named after its symptom.

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};

use crate::common::Reaper;

/// As in a container: a process that `docker exec` starts, or PID 1 itself, is in a session made outside.
#[test]
fn a_session_made_outside_the_pid_namespace_has_no_number() {
    in_namespace(&PidNamespace::new(), test_name!(), || {
        let processes = ProcessSet::new();
        let marked = processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").under(&processes.init());
        assert_eq!((marked.sid(), marked.pgid()), (0, 0), "it is in the session of the namespace's maker");
        let home = processes.directory().join("home");
        let ran = Reaper::new(&home, ["scan", "--dry-run", "--format", "json"]).run().expect_code(0);
        assert_eq!(ran.verdict(marked.pid), ("wait".to_owned(), "grace".to_owned()));
    });
}
