//! What is left of arguments and environment when a program writes a title over them.

use super::*;

#[test]
fn m06_a_title_over_the_arguments_does_not_hide_the_environment() {
    let layout = Layout::new(
        "/opt/homebrew/bin/node",
        &["node", "/opt/homebrew/bin/npx", "@zed-industries/claude-agent-acp"],
        &["PATH=/bin", "SPROUT_MANAGED_AGENT=1"],
    );
    let (begin, end, _) = layout.marks();
    // As libuv does it: the title, and zeros to the end of the last argument.
    for title in ["npm exec @zed-industries/claude-agent-acp", "claude", "x", ""] {
        let mut text = title.as_bytes().to_vec();
        text.resize(end - begin, 0);
        let bytes = layout.overwritten(begin, &text);
        assert_eq!(marked(&bytes), Some(true), "{title}");
        assert_eq!(args(&bytes), [title, "", ""]);
    }
}

#[test]
fn m07_a_wiped_environment_is_not_an_empty_one() {
    let layout = goose();
    let (begin, _, end) = layout.marks();
    // As setproctitle does it: a title, and zeros over all the rest of the arguments and the environment.
    for title in ["postgres: idle", "x", "a title that goes on and on, beyond the arguments of this process"]
    {
        let mut text = title.as_bytes().to_vec();
        text.resize(end - begin, 0);
        let bytes = layout.overwritten(begin, &text);
        assert!(matches!(search(&bytes).unwrap().condition, Condition::Garbled(_)), "{title}");
    }
    // The end of it alone.
    let bytes = layout.overwritten(end - 30, &[0; 30]);
    assert!(matches!(search(&bytes).unwrap().condition, Condition::Garbled(_)));
}

#[test]
fn arguments_that_were_overwritten_in_part_lend_nothing_to_the_environment() {
    let node = |argv: &[&str]| Layout::new("/usr/local/bin/node", argv, &["PATH=/bin", "HOME=/"]);
    let layout = node(&["/usr/local/bin/node", "cli.js", "SPROUT_MANAGED_AGENT=1"]);
    let (begin, ..) = layout.marks();
    // `strcpy(argv[0], "claude")` makes two strings of the first argument.
    assert_eq!(marked(&layout.overwritten(begin, b"claude\0")), None);
    // `strncpy(argv[0], "claude", strlen(argv[0]))` leaves zeros before the second, whatever that is.
    let zeros = b"claude\0\0\0\0\0\0\0\0\0\0\0\0\0";
    assert_eq!(marked(&layout.overwritten(begin, zeros)), None);
    let option = node(&["/usr/local/bin/node", "--model=x", "SPROUT_MANAGED_AGENT=1"]);
    assert_eq!(marked(&option.overwritten(begin, zeros)), None);
    // Programs blank passwords among their arguments.
    let secret = node(&["node", "login", "hunter2hunter2", "SPROUT_MANAGED_AGENT=1"]);
    let (begin, ..) = secret.marks();
    assert_eq!(marked(&secret.overwritten(begin + 11, &[0; 14])), None);
}

/// Found by fuzzing: the title is the program's own name, which it also has without a title.
#[test]
fn a_title_like_the_programs_own_name_lends_nothing_from_the_arguments() {
    let mark = "SPROUT_MANAGED_AGENT=1";
    for path in ["/usr/local/bin/node", "./node", "/node", "/usr/local/bin/-node"] {
        let layout = Layout::new(path, &[path, mark, "x"], &["PATH=/bin", "HOME=/"]);
        let (begin, end, _) = layout.marks();
        // `strcpy(argv[0], "node")`, and with zeros to its end, so that the rest of the arguments stays.
        assert_eq!(marked(&layout.overwritten(begin, b"node\0")), None, "{path}");
        let mut zeros = b"node".to_vec();
        zeros.resize(path.len(), 0);
        assert_eq!(marked(&layout.overwritten(begin, &zeros)), None, "{path}");
        // With zeros to the end of all of them, nothing is left to be taken for a variable.
        zeros.resize(end - begin, 0);
        assert_eq!(marked(&layout.overwritten(begin, &zeros)), Some(false), "{path}");
    }
}

/// Found by fuzzing: what a title leaves of the path, where that is all there is, looks like a variable.
#[test]
fn a_path_that_a_title_cuts_into_is_no_variable() {
    let path = "/SPROUT_MANAGED_AGENT=1/bin/g";
    let layout = Layout::new(path, &[path], &["PATH=/bin", "HOME=/"]);
    let (begin, ..) = layout.marks();
    assert_eq!(marked(&layout.overwritten(begin, b"\0")), None);
    let layout = Layout::new("/xSPROUT_MANAGED_AGENT=1/g", &["/xSPROUT_MANAGED_AGENT=1/g"], &["PATH=/bin"]);
    assert_eq!(marked(&layout.overwritten(begin, b"g\0")), None);
}

/// Found by fuzzing: as many arguments are left behind as zeros were written behind the title.
#[test]
fn zeros_behind_a_title_push_no_argument_into_the_environment() {
    let mark = "SPROUT_MANAGED_AGENT=1";
    let layout = Layout::new("/x/g", &["/x/g", "a=1", "b=2", "c=3", "d=4", mark], &["PATH=/bin", "HOME=/"]);
    let (begin, ..) = layout.marks();
    for title in ["", "g", "xy", "xyz", "wxyz"] {
        let mut text = title.as_bytes().to_vec();
        text.resize("/x/g".len(), 0);
        assert_ne!(marked(&layout.overwritten(begin, &text)), Some(true), "{title}");
        // Empty arguments look like more of the zeros.
        let argv = [&["/x/g", "", ""][..], &[mark, "PATH=/bin"]].concat();
        let empty = Layout::new("/x/g", &argv, &[]);
        assert_ne!(marked(&empty.overwritten(begin, &text)), Some(true), "{title}");
    }
}

#[test]
fn arguments_that_were_joined_swallow_no_marker() {
    let argv = ["/usr/local/bin/node", "cli.js", "x"];
    let env = ["A=1", "SPROUT_MANAGED_AGENT=1", "PATH=/bin", "HOME=/"];
    let layout = Layout::new(argv[0], &argv, &env);
    let (begin, ..) = layout.marks();
    assert_eq!(marked(&layout.bytes()), Some(true));
    // The title is the arguments with blanks between them, so the first variables are counted as arguments.
    assert_eq!(marked(&layout.overwritten(begin, argv.join(" ").as_bytes())), None);
}

#[test]
fn a_title_proves_nothing_beside_an_environment_that_is_hardly_one() {
    let layout = Layout::new("/bin/node", &["node", "cli.js"], &["SPROUT_MANAGED_AGENT=1"]);
    let (begin, end, _) = layout.marks();
    let mut title = b"claude".to_vec();
    title.resize(end - begin, 0);
    assert_eq!(marked(&layout.overwritten(begin, &title)), None);
}
