//! `reaper man`: writes the files to the given directory, and man(1) can show them.

use std::fs;
use std::process::Command;

use reaper_testkit::{skip, test_name};

use crate::common::{Reaper, scratch, write};

#[test]
fn pages_are_written_where_man_looks_for_them() {
    let home = scratch();
    let folder = home.path().join("share/man");
    let target = folder.to_str().unwrap();
    let first = Reaper::new(home.path(), ["man", target]).run().expect_code(0);
    assert_eq!(first.stderr, "");
    let scan = folder.join("man1/reaper-scan.1");
    let named: Vec<&str> = first.stdout.lines().collect();
    assert!(named.contains(&scan.to_str().unwrap()), "{}", first.stdout);
    for file in named {
        assert!(fs::metadata(file).unwrap().len() > 500, "{file}");
    }
    let before = fs::read_to_string(&scan).unwrap();
    let again = Reaper::new(home.path(), ["man", target]).run().expect_code(0);
    assert_eq!((again.stdout, fs::read_to_string(&scan).unwrap()), (first.stdout, before));
}

#[test]
fn the_date_can_be_set() {
    let home = scratch();
    let target = home.path().join("man");
    let man = |epoch: &str| {
        Reaper::new(home.path(), ["man", target.to_str().unwrap()]).env("SOURCE_DATE_EPOCH", epoch).run()
    };
    man("1700000000").expect_code(0);
    assert!(fs::read_to_string(target.join("man1/reaper.1")).unwrap().contains("\"2023-11-14\""));
    let refused = man("tomorrow").expect_code(2);
    assert!(refused.stderr.contains("`tomorrow`") && refused.stderr.contains("hint:"), "{}", refused.stderr);
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let home = scratch();
    let file = home.path().join("file");
    write(&file, "in the way");
    let refused = Reaper::new(home.path(), ["man", file.to_str().unwrap()]).run().expect_code(4);
    assert!(
        refused.stderr.contains("man1/reaper.1`") && refused.stderr.contains("hint:"),
        "{}",
        refused.stderr
    );
    assert_eq!(fs::read_to_string(file).unwrap(), "in the way");
}

#[test]
fn groff_reads_every_page_without_warnings() {
    let home = scratch();
    let written = Reaper::new(home.path(), ["man", home.path().to_str().unwrap()]).run().expect_code(0);
    for page in written.stdout.lines() {
        let Ok(said) = Command::new("groff").args(["-man", "-ww", "-t", "-Tutf8", page]).output() else {
            skip(test_name!(), "groff is not installed");
            return;
        };
        assert!(
            said.status.success() && said.stderr.is_empty(),
            "{page}: {}",
            String::from_utf8_lossy(&said.stderr)
        );
        assert!(!said.stdout.is_empty(), "{page}");
    }
}
