//! Desktop notifications, sent by a tool that only records its arguments.

use std::fs;
use std::path::{Path, PathBuf};

use reaper_testkit::{PidNamespace, ProcessSet, in_namespace, test_name};

use super::service_process::{GEESE, Start, poll};
use crate::common::set_mode;

const CONFIG: &str = "notify = true\ngrace = \"1ms\"\ninterval = \"100ms\"\nlog-level = \"debug\"\n";

/// A `notify-send` that writes each notification's arguments to a file of its own; returns its directory and theirs.
fn tool(directory: &Path, then: &str) -> (PathBuf, PathBuf) {
    let (bin, notes) = (directory.join("bin-of-the-desktop"), directory.join("notes"));
    fs::create_dir_all(&bin).unwrap();
    fs::create_dir_all(&notes).unwrap();
    let script = format!(
        "#!/bin/sh\nprintf '%s\\0' \"$@\" >\"{0}/.$$\" && mv \"{0}/.$$\" \"{0}/$$\"\n{then}\n",
        notes.display()
    );
    fs::write(bin.join("notify-send"), script).unwrap();
    set_mode(&bin.join("notify-send"), 0o755);
    (bin, notes)
}

fn notifications(notes: &Path) -> Vec<Vec<String>> {
    let mut all: Vec<Vec<String>> = fs::read_dir(notes)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| !path.file_name().unwrap().to_string_lossy().starts_with('.'))
        .map(|path| {
            let text = fs::read_to_string(path).unwrap();
            text.strip_suffix('\0').unwrap().split('\0').map(str::to_owned).collect()
        })
        .collect();
    all.sort();
    all
}

#[test]
fn each_batch_is_notified_once_in_plain_text() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let (bin, notes) = tool(processes.directory(), "");
        let path = format!("{}:/usr/bin:/bin", bin.display());
        let config = format!("{CONFIG}{GEESE}");
        let service = Start::new(processes.directory(), &config).env("PATH", &path).run();
        let mark = |name: &str| {
            processes.spec(name).env("SPROUT_MANAGED_AGENT", "secret").env("GOOSE_RUN", "secret")
        };
        let hostile = mark("goose-<b>$(id)").orphan_of_dead_leader();
        assert!(poll(|| notifications(&notes).len() == 1), "{}", service.log());
        let note = notifications(&notes).remove(0);
        assert_eq!(note[..3], ["--app-name=reaper", "--", "reaper ended 1 orphaned process"]);
        assert_eq!(note.len(), 4, "{note:?}");
        let named = format!("Ended: goose-&lt;b&gt;$(id) (pid {}). ", hostile.pid);
        assert!(note[3].starts_with(&named) && note[3].ends_with(" of memory returned."), "{note:?}");
        // What was spared is not notified.
        let kept = mark("codex").env("REAPER_KEEP", "1").orphan_of_dead_leader();
        service.wait_for("reaper_spared_total{gate=\"unprotected\"}", 1.0);
        service.reload(&config.replace("notify = true", "notify = false")).expect_code(0);
        let silent = mark("claude").orphan_of_dead_leader();
        service.wait_for("reaper_terminated_total{outcome=\"exited\",profile=\"sprout\"}", 1.0);
        assert!(!silent.is_alive() && kept.is_alive());
        assert_eq!(notifications(&notes).len(), 1);
    });
}

#[test]
fn a_notifier_that_hangs_or_fails_delays_nothing() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let (bin, notes) = tool(processes.directory(), "exec sleep 1000");
        let path = format!("{}:/usr/bin:/bin", bin.display());
        let service = Start::new(processes.directory(), CONFIG).env("PATH", &path).run();
        let exited = "reaper_terminated_total{outcome=\"exited\",profile=\"sprout\"}";
        let orphan = || processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
        orphan();
        service.wait_for(exited, 1.0);
        assert!(poll(|| notifications(&notes).len() == 1));
        // The tool sleeps: the next orphan is ended all the same, and its notification is skipped.
        orphan();
        service.wait_for(exited, 2.0);
        assert!(poll(|| service.log().contains("this one is left out")), "{}", service.log());
        assert!(poll(|| service.log().contains("not shown within 5 s")), "{}", service.log());
        assert_eq!(notifications(&notes).len(), 1);
        let log = service.stop();
        assert!(!log.contains("ERROR") && !log.contains("WARN"), "{log}");
    });
}

#[test]
fn without_a_desktop_this_is_logged_once() {
    in_namespace(&PidNamespace::new().systemd(), test_name!(), || {
        let processes = ProcessSet::new();
        let nothing = processes.directory().join("nothing");
        let service =
            Start::new(processes.directory(), CONFIG).env("PATH", &nothing.display().to_string()).run();
        for count in [1.0, 2.0] {
            processes.spec("goose").env("SPROUT_MANAGED_AGENT", "1").orphan_of_dead_leader();
            service.wait_for("reaper_terminated_total{outcome=\"exited\",profile=\"sprout\"}", count);
        }
        assert!(poll(|| service.log().contains("cannot show a note on the desktop: notify-send")));
        let log = service.stop();
        assert_eq!(log.matches("cannot show a note").count(), 1, "{log}");
        assert!(log.lines().all(|line| !line.contains("cannot show a note") || line.contains("DEBUG")));
    });
}
