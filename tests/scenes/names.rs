//! Who is an agent at all.

use reaper_testkit::{Stage, Troupe, here, play};

use crate::common::Reaper;

#[test]
fn w09_a_marker_among_the_arguments_is_none() {
    play(&Stage::new().systemd(), here!(), || {
        let troupe = Troupe::new();
        let pasted = troupe.actor("claude").args(["SPROUT_MANAGED_AGENT=1"]).orphan_of_dead_leader();
        let marked = troupe.actor("claude").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
        let home = troupe.directory().join("home");
        let ran = Reaper::new(&home, ["scan", "--yes", "--all", "--grace", "0s", "--format", "json"]).run();
        let ran = ran.expect_code(0);
        assert_eq!(ran.verdict(pasted.pid), ("spare".to_owned(), "marker".to_owned()));
        assert_eq!(ran.outcome(marked.pid), "exited");
        assert!(pasted.is_alive() && !marked.is_alive());
    });
}
