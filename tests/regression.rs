//! One test for each mistake that was once made in this program, named after what it looked like.

#[cfg(test)]
#[path = "common/mod.rs"]
mod common;

#[cfg(test)]
mod tests {
    use reaper_testkit::{Stage, Troupe, here, play};

    use super::common::Reaper;

    /// As in a container: whoever `docker exec` starts, or PID 1 itself, is in a session made outside.
    #[test]
    fn a_session_made_outside_the_pid_namespace_has_no_number() {
        play(&Stage::new(), here!(), || {
            let troupe = Troupe::new();
            let marked = troupe.actor("goose").env("SPROUT_MANAGED_AGENT", "1").under(&troupe.init());
            assert_eq!((marked.sid(), marked.pgid()), (0, 0), "it is in the session of the stage's maker");
            let home = troupe.directory().join("home");
            let ran = Reaper::new(&home, ["scan", "--dry-run", "--format", "json"]).run().expect_code(0);
            assert_eq!(ran.verdict(marked.pid), ("wait".to_owned(), "grace".to_owned()));
        });
    }
}
