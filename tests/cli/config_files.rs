//! Whole config files, as users write them: those that must load, those that must be refused with which message, and
//! those that another user could have written.

#[cfg(test)]
mod config {

    use reaper::config::{ConfigError, LogFormat, Origin, Overrides, Settings, Sources, load};
    use reaper_policy::policy::Reach;
    use reaper_policy::profile::Programs;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::path::{Path, PathBuf};
    use std::time::Duration;
    use tempfile::TempDir;

    fn samples(kind: &str) -> Vec<PathBuf> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/config").join(kind);
        let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        files.sort();
        assert!(!files.is_empty());
        files
    }

    /// A folder only we can write, and sources that look for their files there.
    fn new_sources() -> (TempDir, Sources) {
        let dir = tempfile::tempdir().unwrap();
        let facts = fs::metadata(dir.path()).unwrap();
        let sources = Sources {
            system: dir.path().join("system.toml"),
            user: Some(dir.path().join("user.toml")),
            uid: facts.uid(),
            primary_gid: facts.gid(),
            ..Sources::default()
        };
        (dir, sources)
    }

    fn put(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    fn load_text(text: &str) -> Result<Settings, ConfigError> {
        let (_dir, sources) = new_sources();
        put(&sources.system, text);
        load(&sources, &Overrides::default())
    }

    fn env(sources: &mut Sources, vars: &[(&str, &str)]) {
        sources.env = vars.iter().map(|(name, value)| (name.into(), value.into())).collect();
    }

    #[test]
    fn valid_samples_load_without_warnings() {
        for path in samples("valid") {
            let policy = load_text(&fs::read_to_string(&path).unwrap());
            let settings = policy.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let expected = usize::from(path.ends_with("scalars.toml"));
            assert_eq!(settings.warnings().len(), expected, "{}: {:?}", path.display(), settings.warnings());
        }
    }

    /// The messages are part of the contract. Set UPDATE_EXPECTED to regenerate them, then read the difference.
    #[test]
    fn invalid_samples_are_refused_with_these_messages() {
        for path in samples("invalid") {
            let (dir, sources) = new_sources();
            put(&sources.system, &fs::read_to_string(&path).unwrap());
            let error = match load(&sources, &Overrides::default()) {
                Ok(_) => panic!("{} loads", path.display()),
                Err(error) => error.to_string().replace(&dir.path().display().to_string(), ""),
            };
            let expected = path.with_extension("txt");
            if std::env::var_os("UPDATE_EXPECTED").is_some() {
                fs::write(&expected, format!("{error}\n")).unwrap();
            }
            let words = fs::read_to_string(&expected).unwrap_or_default();
            assert_eq!(format!("{error}\n"), words, "{}", path.display());
            assert!(!error.contains('\u{1b}') && error.contains('^'), "{error}");
        }
    }

    #[test]
    fn without_any_file_the_defaults_hold() {
        let (_dir, sources) = new_sources();
        let settings = load(&sources, &Overrides::default()).unwrap();
        let policy = settings.policy();
        let names: Vec<_> = policy.profiles.iter().map(|profile| &*profile.name).collect();
        assert_eq!(names, ["sprout", "buzz", "own"]);
        assert_eq!(policy.grace, Duration::from_secs(30));
        assert_eq!((policy.reach, policy.max_targets.get()), (Reach::Tree, 256));
        assert!(settings.files().is_empty() && settings.warnings().is_empty());
        assert!(policy.protect.iter().any(|name| name == "tmux"));
    }

    #[test]
    fn later_layers_win_and_protections_add_up() {
        let (_dir, mut sources) = new_sources();
        put(
            &sources.system,
            "grace = \"1s\"\ninterval = \"1s\"\nprotect = [\"aaa\"]\nadopters = [\"one\"]\n",
        );
        put(
            sources.user.as_ref().unwrap(),
            "grace = \"2s\"\nterm-timeout = \"2s\"\nprotect = [\"bbb\"]\nadopters = [\"two\"]\n",
        );
        env(
            &mut sources,
            &[("REAPER_TERM_TIMEOUT", "3s"), ("REAPER_PROTECT", "ccc, aaa"), ("REAPER_REACH", "process")],
        );
        let policy = load(&sources, &Overrides::default()).unwrap().policy();
        assert_eq!(policy.interval, Duration::from_secs(1));
        assert_eq!(policy.grace, Duration::from_secs(2));
        assert_eq!(policy.term_timeout, Duration::from_secs(3));
        assert_eq!(policy.reach, Reach::Process);
        assert_eq!(policy.adopters, ["two"]);
        let added: Vec<_> =
            policy.protect.iter().filter(|name| ["aaa", "bbb", "ccc"].contains(&name.as_str())).collect();
        assert_eq!(added, ["aaa", "bbb", "ccc"]);
        assert!(policy.protect.iter().any(|name| name == "tmux"));

        let flags = Overrides { grace: Some(Duration::from_secs(9)), profiles: vec!["own".to_owned()] };
        let policy = load(&sources, &flags).unwrap().policy();
        assert_eq!(policy.grace, Duration::from_secs(9));
        assert_eq!(policy.profiles.len(), 1);
    }

    #[test]
    fn outputs_of_the_service_are_set_by_files_and_variables() {
        let (_dir, mut sources) = new_sources();
        let policy = load(&sources, &Overrides::default()).unwrap();
        let outputs = policy.outputs();
        assert_eq!(
            (outputs.log_level().to_string().as_str(), outputs.log_format()),
            ("info", LogFormat::Auto)
        );
        assert!(!outputs.notify() && outputs.textfile().is_none() && outputs.listen().is_none());
        put(
            &sources.system,
            "notify = true\nlog-level = \"warn\"\n[metrics]\ntextfile = \"/a/b.prom\"\nlisten = \"127.0.0.1:1\"\n",
        );
        put(sources.user.as_ref().unwrap(), "log-format = \"text\"\n[metrics]\ntextfile = \"/a/c.prom\"\n");
        let policy = load(&sources, &Overrides::default()).unwrap();
        let outputs = policy.outputs();
        assert_eq!(
            (outputs.log_level().to_string().as_str(), outputs.log_format()),
            ("warn", LogFormat::Text)
        );
        assert_eq!(outputs.textfile(), Some(Path::new("/a/c.prom")));
        assert_eq!(outputs.listen(), Some(([127, 0, 0, 1], 1).into()), "a table is merged key by key");
        assert!(outputs.notify());
        env(
            &mut sources,
            &[
                ("REAPER_NOTIFY", "false"),
                ("REAPER_LOG_LEVEL", "debug"),
                ("REAPER_LOG_FORMAT", "json"),
                ("REAPER_METRICS_TEXTFILE", ""),
                ("REAPER_METRICS_LISTEN", "10.0.0.7:9464"),
            ],
        );
        let policy = load(&sources, &Overrides::default()).unwrap();
        let outputs = policy.outputs();
        assert_eq!(
            (outputs.log_level().to_string().as_str(), outputs.log_format()),
            ("debug", LogFormat::Json)
        );
        assert_eq!(outputs.textfile(), None, "an empty variable turns it off");
        assert_eq!(outputs.listen(), Some(([10, 0, 0, 7], 9464).into()));
        assert!(!outputs.notify() && policy.warnings().is_empty());
    }

    #[test]
    fn a_boolean_variable_takes_a_word_or_a_digit() {
        for (value, expected) in [("true", true), ("1", true), ("false", false), ("0", false)] {
            let (_dir, mut sources) = new_sources();
            env(&mut sources, &[("REAPER_NOTIFY", value), ("REAPER_KEEP_LISTENERS", value)]);
            let settings = load(&sources, &Overrides::default()).unwrap();
            assert_eq!((settings.outputs().notify(), settings.policy().keep_listeners), (expected, expected));
        }
    }

    #[test]
    fn a_named_file_replaces_both_and_must_exist() {
        let (dir, mut sources) = new_sources();
        put(&sources.system, "grace = 1\n");
        let named = dir.path().join("named.toml");
        sources.explicit = Some(named.clone());
        let error = load(&sources, &Overrides::default()).unwrap_err().to_string();
        assert!(error.contains("could not read config file") && error.contains("hint: "), "{error}");
        put(&named, "grace = \"7s\"\n");
        assert_eq!(load(&sources, &Overrides::default()).unwrap().policy().grace, Duration::from_secs(7));
        sources.explicit = None;
        sources.env = vec![("REAPER_CONFIG".into(), named.into())];
        assert_eq!(load(&sources, &Overrides::default()).unwrap().policy().grace, Duration::from_secs(7));
    }

    #[test]
    fn profiles_of_a_later_file_replace_those_of_an_earlier_one() {
        let (_dir, sources) = new_sources();
        let profile = |name: &str, program: &str| {
            format!("[[profile]]\nname = \"{name}\"\nmarkers = [\"M\"]\nprograms = [\"{program}\"]\n")
        };
        put(&sources.system, &(profile("one", "aaa") + &profile("two", "bbb")));
        put(sources.user.as_ref().unwrap(), &profile("one", "ccc"));
        let policy = load(&sources, &Overrides::default()).unwrap().policy();
        let own: Vec<_> = policy.profiles.iter().skip(3).collect();
        assert_eq!(own.iter().map(|profile| &*profile.name).collect::<Vec<_>>(), ["one", "two"]);
        let Programs::Named(rules) = &own[0].programs else { panic!("named") };
        assert_eq!(rules[0].name, "ccc");
    }

    #[test]
    fn a_protection_of_another_layer_wins_with_a_warning() {
        let (_dir, sources) = new_sources();
        put(&sources.system, "[[profile]]\nname = \"mine\"\nmarkers = [\"M\"]\nprograms = [\"postgres\"]\n");
        put(sources.user.as_ref().unwrap(), "protect = [\"postgres\"]\n");
        let policy = load(&sources, &Overrides::default()).unwrap();
        assert!(
            policy.warnings()[0].message.contains("`postgres` of profile `mine` is protected by `postgres`")
        );
    }

    #[test]
    fn variables_and_flags_are_refused_by_name() {
        for (name, value, expected) in [
            (
                "REAPER_GRACE",
                "30",
                "`REAPER_GRACE`: a duration needs a unit\nhint: write \"30s\" for seconds",
            ),
            ("REAPER_GRACE", "", "`REAPER_GRACE`: `` is not a duration"),
            ("REAPER_INTERVAL", "0s", "`REAPER_INTERVAL`: `interval` must be at least 100ms"),
            ("REAPER_REACH", "tre", "`REAPER_REACH`: unknown value `tre`\nhint: did you mean `tree`?"),
            ("REAPER_MAX_TARGETS", "many", "`REAPER_MAX_TARGETS`: `max-targets` must be between 1"),
            ("REAPER_USE", "sprout,bzz", "`REAPER_USE`: unknown profile `bzz`\nhint: did you mean `buzz`?"),
            ("REAPER_ADOPTERS", "bash", "`REAPER_ADOPTERS`: `bash` starts what runs beneath it"),
            ("REAPER_WRAPPERS", "tmux", "`REAPER_WRAPPERS`: `tmux` is a protected program"),
            (
                "REAPER_LOG_LEVEL",
                "loud",
                "`REAPER_LOG_LEVEL`: unknown log level `loud`\nhint: known: off, error",
            ),
            (
                "REAPER_LOG_FORMAT",
                "jsn",
                "`REAPER_LOG_FORMAT`: unknown value `jsn`\nhint: did you mean `json`?",
            ),
            ("REAPER_NOTIFY", "maybe", "`REAPER_NOTIFY`: unknown value `maybe`\nhint: known: true, false"),
            (
                "REAPER_METRICS_TEXTFILE",
                "x.prom",
                "`REAPER_METRICS_TEXTFILE`: `x.prom` is not an absolute path",
            ),
            ("REAPER_METRICS_LISTEN", "0.0.0.0:9464", "`REAPER_METRICS_LISTEN`: `0.0.0.0` answers on every"),
        ] {
            let (_dir, mut sources) = new_sources();
            env(&mut sources, &[(name, value)]);
            let error = load(&sources, &Overrides::default()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let (_dir, sources) = new_sources();
        let flags = Overrides { grace: None, profiles: vec!["brosers".to_owned()] };
        let error = load(&sources, &flags).unwrap_err().to_string();
        assert_eq!(error, "`--profile`: unknown profile `brosers`\nhint: did you mean `browsers`?");
    }

    #[test]
    fn doubtful_settings_are_warned_about() {
        for (text, expected) in [
            ("grace = \"0s\"\n", "`grace` is 0s"),
            ("term-timeout = \"1ms\"\n", "`term-timeout` is 1ms"),
            ("use = []\n", "no profile is in force"),
            ("[metrics]\nlisten = \"203.0.113.5:9464\"\n", "an address of the open internet"),
            ("[metrics]\nlisten = \"[2001:db8::1]:9464\"\n", "an address of the open internet"),
            ("[[profile]]\nname = \"a\"\nmarkers = [\"M\"]\nprograms = [\"npx\"]\n", "`npx` is a wrapper"),
        ] {
            let settings = load_text(text).unwrap();
            assert!(settings.warnings().iter().any(|warning| warning.message.contains(expected)), "{text}");
        }
    }

    #[test]
    fn shown_settings_say_where_they_come_from() {
        let (_dir, mut sources) = new_sources();
        put(&sources.system, "interval = \"1m\"\nprotect = [\"aaa\"]\n");
        env(&mut sources, &[("REAPER_GRACE", "5s"), ("REAPER_METRICS_LISTEN", "[::1]:9464")]);
        let flags = Overrides { grace: None, profiles: vec!["own".to_owned()] };
        let shown = reaper::config::show::render(&load(&sources, &flags).unwrap());
        for (key, origin) in [
            ("interval = \"1m\"", sources.system.to_str().unwrap()),
            ("grace = \"5s\"", "REAPER_GRACE"),
            ("listen = \"[::1]:9464\"", "REAPER_METRICS_LISTEN"),
            ("notify = false", &Origin::Default.to_string()),
            ("use = [\"own\"]", "--profile"),
            ("reach = \"tree\"", &Origin::Default.to_string()),
        ] {
            assert!(
                shown.lines().any(|line| line.starts_with(key) && line.ends_with(&format!("# {origin}"))),
                "{shown}"
            );
        }
    }

    fn refusal(sources: &Sources) -> String {
        match load(sources, &Overrides::default()) {
            Err(error @ ConfigError::Refused { .. }) => error.to_string(),
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        let (_dir, mut sources) = new_sources();
        put(&sources.system, "");
        let chmod = |mode| fs::set_permissions(&sources.system, Permissions::from_mode(mode)).unwrap();
        for fine in [0o600, 0o644, 0o640, 0o664] {
            chmod(fine);
            assert!(load(&sources, &Overrides::default()).is_ok(), "{fine:o}");
        }
        chmod(0o666);
        assert!(refusal(&sources).contains("anyone can write it (mode 0666)\nhint: run `chmod o-w '/"));
        chmod(0o660);
        sources.primary_gid += 1;
        assert!(refusal(&sources).contains("not your primary group\nhint: run `chmod g-w '/"));
    }

    #[test]
    fn a_file_in_a_folder_that_others_can_write_is_refused() {
        let (dir, sources) = new_sources();
        put(&sources.system, "");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(refusal(&sources).contains("can be written by anyone (mode 0777)"));
        fs::set_permissions(dir.path(), Permissions::from_mode(0o1777)).unwrap();
        assert!(load(&sources, &Overrides::default()).is_ok());
    }

    #[test]
    fn a_file_behind_a_link_is_checked_at_its_target() {
        let (dir, sources) = new_sources();
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        put(&open.join("c.toml"), "");
        symlink(open.join("c.toml"), &sources.system).unwrap();
        assert!(load(&sources, &Overrides::default()).is_ok());
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        assert!(refusal(&sources).contains("can be written by anyone"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_of_another_user_is_refused_and_roots_is_not() {
        let (dir, mut sources) = new_sources();
        put(&sources.system, "");
        if sources.uid != 0 {
            return reaper_testkit::skip(reaper_testkit::test_name!(), "only root can give files away");
        }
        sources.uid = 4242;
        assert!(load(&sources, &Overrides::default()).is_ok(), "root's file serves every user");
        std::os::unix::fs::chown(&sources.system, Some(4243), None).unwrap();
        assert!(refusal(&sources).contains("owned by uid 4243, neither you (uid 4242) nor root"));
        std::os::unix::fs::chown(&sources.system, Some(4242), None).unwrap();
        assert!(load(&sources, &Overrides::default()).is_ok());
        std::os::unix::fs::chown(dir.path(), Some(4243), None).unwrap();
        assert!(refusal(&sources).contains("is owned by uid 4243"));
    }

    #[test]
    fn a_file_that_is_no_text_is_refused() {
        let (_dir, mut sources) = new_sources();
        fs::write(&sources.system, [b'#', 0xff]).unwrap();
        assert!(refusal(&sources).contains("not valid UTF-8 at byte 1"));
        fs::write(&sources.system, vec![b'#'; 1024 * 1024 + 1]).unwrap();
        assert!(refusal(&sources).contains("larger than 1 MiB"));
        fs::remove_file(&sources.system).unwrap();
        fs::create_dir(&sources.system).unwrap();
        assert!(refusal(&sources).contains("not a regular file"));
        sources.explicit = Some("/dev/zero".into());
        assert!(refusal(&sources).contains("not a regular file"));
    }
}
