//! Tests of the files and steps for both service managers, without a service manager.

use super::*;
use proptest::prelude::*;

fn wish(program: &str) -> Wish {
    Wish {
        program: program.into(),
        config: None,
        home: "/home/alice".into(),
        config_home: None,
        uid: 1000,
        wake_alarm: false,
    }
}

fn nothing() -> Present {
    Present { file: Found::Nothing, packaged: None }
}

fn lines(steps: &[Step]) -> Vec<String> {
    let line = |step: &Step| match step {
        Step::Write { path, .. } => format!("write {}", path.display()),
        Step::Remove(path) => format!("remove {}", path.display()),
        Step::Run(call) => format!("{}{}", call.line(), if call.may_fail { " || true" } else { "" }),
        Step::Say(text) => format!("say {text}"),
    };
    steps.iter().map(line).collect()
}

const UNIT: &str = "/home/alice/.config/systemd/user/reaper.service";
const AGENT: &str = "/home/alice/Library/LaunchAgents/reaper.plist";

#[test]
fn a_unit_is_written_enabled_and_started() {
    let wish = wish("/home/alice/.cargo/bin/reaper");
    let steps = install(Manager::Systemd, &wish, &nothing()).unwrap();
    assert_eq!(
        lines(&steps),
        [
            format!("write {UNIT}").as_str(),
            "systemctl --user daemon-reload",
            "systemctl --user enable reaper.service",
            "systemctl --user restart reaper.service",
        ]
    );
    let text = text(Manager::Systemd, &wish).unwrap();
    assert!(text.contains("\nExecStart=/home/alice/.cargo/bin/reaper run\n"), "{text}");
    assert!(text.contains("\nExecReload=/home/alice/.cargo/bin/reaper reload\n"), "{text}");
    assert!(!text.contains("/usr/bin/reaper"), "{text}");
    assert!(!text.contains("AmbientCapabilities"), "which a manager without it cannot give: {text}");
    let at_the_machine = Wish { wake_alarm: true, ..wish.clone() };
    let with = super::text(Manager::Systemd, &at_the_machine).unwrap();
    assert!(with.contains("\n[Service]\nAmbientCapabilities=CAP_WAKE_ALARM\n"), "{with}");
    let elsewhere = Wish { config_home: Some("/c".into()), ..wish };
    assert_eq!(place(Manager::Systemd, &elsewhere), Path::new("/c/systemd/user/reaper.service"));
}

#[test]
fn an_agent_is_written_and_loaded() {
    let wish = wish("/opt/my tools/a&b/reaper");
    let steps = install(Manager::Launchd, &wish, &nothing()).unwrap();
    assert_eq!(
        lines(&steps),
        [
            format!("write {AGENT}").as_str(),
            "launchctl bootout gui/1000/reaper || true",
            "launchctl enable gui/1000/reaper",
            format!("launchctl bootstrap gui/1000 {AGENT}").as_str(),
        ]
    );
    let text = text(Manager::Launchd, &wish).unwrap();
    assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- Written by"), "{text}");
    assert!(
        text.contains("<string>/opt/my tools/a&amp;b/reaper</string>\n        <string>run</string>"),
        "{text}"
    );
    assert!(text.contains("<string>/home/alice/Library/Logs/reaper.log</string>"), "{text}");
    assert!(!text.contains('@'), "nothing is left to be filled in: {text}");
    let with = Wish { config: Some("/c/<x>.toml".into()), ..wish };
    let text = super::text(Manager::Launchd, &with).unwrap();
    let arguments = "/reaper</string>\n        <string>--config</string>\n        <string>/c/&lt;x&gt;.toml</string>\n        <string>run</string>";
    assert!(text.contains(arguments), "{text}");
}

#[test]
fn installing_twice_is_idempotent() {
    for manager in [Manager::Systemd, Manager::Launchd] {
        let wish = wish("/usr/local/bin/reaper");
        let first = install(manager, &wish, &nothing()).unwrap();
        let written = text(manager, &wish).unwrap();
        let present = Present { file: ownership::recognise(&written), packaged: None };
        let second = install(manager, &wish, &present).unwrap();
        assert!(matches!(second.first(), Some(Step::Say(_))), "{second:?}");
        assert_eq!(first.get(1..), second.get(1..));
        // Of another version, or for a program at another path: updated.
        let moved = Wish { program: "/usr/bin/reaper".into(), ..wish.clone() };
        assert!(matches!(install(manager, &moved, &present).unwrap().first(), Some(Step::Write { .. })));
        let gone = uninstall(manager, &moved, &present).unwrap();
        assert!(gone.contains(&Step::Remove(place(manager, &wish))), "{gone:?}");
        let nothing_left = uninstall(manager, &wish, &nothing()).unwrap();
        assert!(matches!(nothing_left.as_slice(), [Step::Say(_)]), "{nothing_left:?}");
    }
}

#[test]
fn a_unit_is_stopped_before_its_file_is_removed() {
    let wish = wish("/usr/local/bin/reaper");
    let present =
        Present { file: ownership::recognise(&text(Manager::Systemd, &wish).unwrap()), packaged: None };
    assert_eq!(
        lines(&uninstall(Manager::Systemd, &wish, &present).unwrap()),
        [
            "systemctl --user disable --now reaper.service",
            "systemctl --user reset-failed reaper.service || true",
            format!("remove {UNIT}").as_str(),
            "systemctl --user daemon-reload",
        ]
    );
}

#[test]
fn a_foreign_or_edited_file_is_neither_overwritten_nor_removed() {
    for manager in [Manager::Systemd, Manager::Launchd] {
        let wish = wish("/usr/local/bin/reaper");
        for (found, words) in [
            (Found::Foreign, "did not write it"),
            (Found::Changed, "it was changed after"),
            (Found::Link("/dotfiles/reaper.service".into()), "symbolic link to `/dotfiles/reaper.service`"),
            (Found::Link("/dev/null".into()), "symbolic link to `/dev/null`"),
        ] {
            let present =
                Present { file: found, packaged: Some("/usr/lib/systemd/user/reaper.service".into()) };
            let refused = install(manager, &wish, &present).unwrap_err();
            assert!(refused.what.contains("overwrite") && refused.what.contains(words), "{refused:?}");
            let refused = uninstall(manager, &wish, &present).unwrap_err();
            assert!(refused.what.contains("remove") && refused.what.contains(words), "{refused:?}");
            assert!(!refused.hint.is_empty());
        }
    }
}

#[test]
fn a_unit_of_a_package_is_used_and_kept() {
    let wish = wish("/usr/bin/reaper");
    let unit = include_str!("../../packaging/systemd/user/reaper.service");
    assert!(systemd::runs(unit, &wish.program));
    assert!(!systemd::runs(unit, Path::new("/usr/local/bin/reaper")) && !systemd::runs("", &wish.program));
    let present =
        Present { file: Found::Nothing, packaged: Some("/usr/lib/systemd/user/reaper.service".into()) };
    let steps = install(Manager::Systemd, &wish, &present).unwrap();
    assert!(lines(&steps).iter().all(|line| !line.starts_with("write")), "{steps:?}");
    let steps = uninstall(Manager::Systemd, &wish, &present).unwrap();
    assert!(lines(&steps).iter().all(|line| !line.starts_with("remove")), "{steps:?}");
    assert!(lines(&steps).iter().any(|line| line.contains("disable --now")), "{steps:?}");
    // A unit of a package uses the usual config only.
    let with = Wish { config: Some("/c.toml".into()), ..wish };
    let steps = install(Manager::Systemd, &with, &present).unwrap();
    assert!(matches!(steps.first(), Some(Step::Write { text, .. })
        if text.contains("ExecStart=/usr/bin/reaper --config /c.toml run\n")
            && text.contains("ExecReload=/usr/bin/reaper --config /c.toml reload\n")));
}

#[test]
fn odd_paths_are_quoted_or_refused() {
    for (path, word) in [
        ("/a b/reaper", "\"/a b/reaper\""),
        ("/100%/reaper", "/100%%/reaper"),
        ("/a\"b\\c/reaper", "\"/a\\\"b\\\\c/reaper\""),
        ("/grün/reaper", "/grün/reaper"),
        ("/a;b/reaper", "\"/a;b/reaper\""),
    ] {
        let text = text(Manager::Systemd, &wish(path)).unwrap();
        assert!(text.contains(&format!("\nExecStart={word} run\n")), "{text}");
    }
    for manager in [Manager::Systemd, Manager::Launchd] {
        let refused = text(manager, &wish("/a\nExecStartPre=x/reaper")).unwrap_err();
        assert!(refused.what.contains("cannot be written"), "{refused:?}");
    }
    // A dollar sign is a variable's everywhere but in the program's path.
    let dollar = Wish { config: Some("/$x.toml".into()), ..wish("/reaper") };
    assert!(text(Manager::Systemd, &dollar).unwrap().contains("--config \"/$$x.toml\" run\n"));
    let call = Call::new("launchctl", ["bootstrap", "gui/1", "/Users/a b/it's"]);
    assert_eq!(call.line(), r"launchctl bootstrap gui/1 '/Users/a b/it'\''s'");
}

proptest! {
    #[test]
    fn no_path_adds_a_line_or_an_element(path in "/[^\0]{0,40}") {
        let wish = wish(&path);
        if let Ok(unit) = text(Manager::Systemd, &wish) {
            let plain = text(Manager::Systemd, &super::tests::wish("/x")).unwrap();
            prop_assert_eq!(unit.lines().count(), plain.lines().count());
        }
        if let Ok(agent) = text(Manager::Launchd, &wish) {
            let plain = text(Manager::Launchd, &super::tests::wish("/x")).unwrap();
            prop_assert_eq!(agent.matches('<').count(), plain.matches('<').count());
        }
    }
}

#[test]
fn without_a_manager_the_hint_fits_the_case() {
    let machine = systemd::Machine {
        is_booted: true,
        has_systemctl: true,
        runtime: Some("/run/user/1000".into()),
        is_reachable: true,
        is_running: true,
        is_sudo: false,
        user: Some("alice".into()),
    };
    let refused = |machine: &systemd::Machine, uid| {
        systemd::refusal(machine, uid).map(|r| format!("{}\n{}", r.what, r.hint))
    };
    assert_eq!(refused(&machine, 1000), None);
    let no_systemd = systemd::Machine { is_booted: false, ..machine.clone() };
    assert!(refused(&no_systemd, 1000).unwrap().contains("reaper run"));
    let sudo = systemd::Machine { is_sudo: true, ..machine.clone() };
    assert!(refused(&sudo, 0).unwrap().contains("without sudo"));
    let after_su = systemd::Machine { runtime: None, is_reachable: false, ..machine.clone() };
    assert!(refused(&after_su, 1000).unwrap().contains("export XDG_RUNTIME_DIR=/run/user/1000"));
    let no_manager = systemd::Machine { runtime: None, is_reachable: false, is_running: false, ..machine };
    let said = refused(&no_manager, 1000).unwrap();
    assert!(said.contains("enable-linger alice") && said.contains("reaper@1000.service"), "{said}");
    assert!(refused(&no_manager, 0).unwrap().contains("reaper-system.service"));
}
