//! Buffers as the kernel builds them, as processes overwrite them, and as they must not be.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::environ::{Condition, Found};

#[path = "titles.rs"]
mod titles;

/// The kernel's own strings on an M-series machine, in order.
const KERNEL: [&str; 9] = [
    "pfz=0x1fffffc0a000",
    "stack_guard=0x4d2f00d1c2b3a495",
    "malloc_entropy=0x91a2b3c4d5e6f708,0x1122334455667788",
    "ptr_munge=0xa1b2c3d4e5f60718",
    "main_stack=0x16f604000,0x7fc000,0x16b600000,0x4004000",
    "executable_file=0x1a0100000c,0x5f2d1a7",
    "dyld_file=0x1a0100000d,0xfffffff000982b1",
    "executable_cdhash=f3c1c2b1a0998877665544332211ffeeddccbbaa",
    "th_port=0x103",
];

/// A process's strings, laid out by the rules of bsd/kern/kern_exec.c.
#[derive(Debug, Clone)]
struct Layout {
    path: Vec<u8>,
    argv: Vec<Vec<u8>>,
    env: Vec<Vec<u8>>,
    kernel: Vec<Vec<u8>>,
}

impl Layout {
    fn new(path: &str, argv: &[&str], env: &[&str]) -> Self {
        let own = |list: &[&str]| list.iter().map(|s| s.as_bytes().to_vec()).collect();
        Self { path: path.into(), argv: own(argv), env: own(env), kernel: own(&KERNEL) }
    }

    /// Where the arguments begin and end, and the environment ends, in the whole buffer.
    fn marks(&self) -> (usize, usize, usize) {
        let size = |list: &[Vec<u8>]| list.iter().map(|s| s.len() + 1).sum::<usize>();
        let begin = 4 + (self.path.len() + 1).next_multiple_of(8);
        let end = begin + size(&self.argv);
        (begin, end, end + size(&self.env))
    }

    /// Everything, as for a process that is not protected.
    fn bytes(&self) -> Vec<u8> {
        let mut area = [&b"executable_path="[..], &self.path, b"\0"].concat();
        let pad = |area: &mut Vec<u8>| area.resize(area.len().next_multiple_of(8), 0);
        pad(&mut area);
        let add = |area: &mut Vec<u8>, list: &[Vec<u8>]| {
            list.iter().for_each(|s| area.extend([s.as_slice(), b"\0"].concat()));
        };
        add(&mut area, &self.argv);
        add(&mut area, &self.env);
        pad(&mut area);
        add(&mut area, &self.kernel);
        pad(&mut area);
        let argc = i32::try_from(self.argv.len()).unwrap().to_ne_bytes();
        [&argc[..], &area["executable_path=".len()..]].concat()
    }

    /// What is left of it for a protected process, by the very loop of `sysctl_procargsx`.
    fn withheld(&self) -> Vec<u8> {
        let whole = self.bytes();
        let data = &whole[4..];
        let mut size = 0;
        for index in 0..=self.argv.len() {
            if size >= data.len() {
                break;
            }
            let rest = &data[size..];
            let mut len = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
            if len < rest.len() {
                len += 1;
                while index == 0 && len < rest.len() && rest[len] == 0 {
                    len += 1;
                }
            }
            size += len;
        }
        whole[..4 + size].to_vec()
    }

    /// The buffer after something was written to the memory.
    fn overwritten(&self, at: usize, with: &[u8]) -> Vec<u8> {
        let mut bytes = self.bytes();
        bytes[at..at + with.len()].copy_from_slice(with);
        bytes
    }
}

fn goose() -> Layout {
    Layout::new(
        "/opt/homebrew/bin/goose",
        &["goose", "acp", "--with", "developer"],
        &["PATH=/usr/bin:/bin", "HOME=/Users/ann", "SPROUT_MANAGED_AGENT=1", "LANG=en_US.UTF-8"],
    )
}

const MARK: &[u8] = b"SPROUT_MANAGED_AGENT";

fn search(bytes: &[u8]) -> Result<EnvironScan, Why> {
    ProcArgs::parse(bytes)?.search(&Wanted::new(["SPROUT_MANAGED_AGENT", "LANG", "X"]))
}

/// Whether the marker is found by a search that can be trusted; `None` for one that cannot.
fn marked(bytes: &[u8]) -> Option<bool> {
    let scan = search(bytes).ok().filter(|s| s.condition == Condition::Intact)?;
    Some(scan.get(MARK).is_some())
}

fn args(bytes: &[u8]) -> Vec<String> {
    let args = ProcArgs::parse(bytes).unwrap();
    args.argv().map(|a| String::from_utf8_lossy(a).into_owned()).collect()
}

#[test]
fn an_ordinary_process_is_read_exactly() {
    let bytes = goose().bytes();
    let args = ProcArgs::parse(&bytes).unwrap();
    assert_eq!(args.path, b"/opt/homebrew/bin/goose");
    assert_eq!(args.argv().collect::<Vec<_>>(), [&b"goose"[..], b"acp", b"--with", b"developer"]);
    let scan = search(&bytes).unwrap();
    assert_eq!((scan.condition, scan.value(MARK)), (Condition::Intact, Some(&b"1"[..])));
    assert_eq!(scan.value(b"LANG"), Some(&b"en_US.UTF-8"[..]));
}

#[test]
fn every_alignment_of_path_and_environment_is_read_exactly() {
    for path in 1..=17 {
        for value in 0..=17 {
            let layout = Layout::new(
                &"p".repeat(path),
                &["", "", "x", ""],
                &["PATH=/bin", "X=", &format!("SPROUT_MANAGED_AGENT={}", "v".repeat(value))],
            );
            let bytes = layout.bytes();
            assert_eq!(args(&bytes), ["", "", "x", ""], "path {path}, value {value}");
            let scan = search(&bytes).unwrap();
            assert_eq!(scan.condition, Condition::Intact, "path {path}, value {value}");
            assert_eq!(scan.value(MARK).map(<[u8]>::len), Some(value));
            assert_eq!(scan.value(b"X"), Some(&b""[..]));
        }
    }
}

#[test]
fn w24_a_marker_among_the_arguments_is_never_one_in_the_environment() {
    let env = ["PATH=/bin", "HOME=/"];
    let plain = [
        &["claude", "SPROUT_MANAGED_AGENT=1"][..],
        &["/usr/local/bin/claude", "-p", "", "", "SPROUT_MANAGED_AGENT=1"],
    ];
    // The first argument is no name of the program, or the second is what a title would leave: the rest is not certain.
    let odd = [
        &["", "", "SPROUT_MANAGED_AGENT=1", ""][..],
        &["SPROUT_MANAGED_AGENT=1", "SPROUT_MANAGED_AGENT=1"],
        &["/usr/local/bin/claude", "", "", "", "SPROUT_MANAGED_AGENT=1"],
    ];
    let cases = plain.map(|argv| (argv, Some(false))).into_iter().chain(odd.map(|argv| (argv, None)));
    for (argv, expected) in cases {
        let layout = Layout::new("/usr/local/bin/claude", argv, &env);
        assert_eq!(marked(&layout.bytes()), expected, "{argv:?}");
        let bare = Layout { env: Vec::new(), ..layout };
        assert_ne!(marked(&bare.bytes()), Some(true), "{argv:?}, without an environment");
    }
    for name in ["XSPROUT_MANAGED_AGENT=1", "SPROUT_MANAGED_AGENT_X=1", "X=a SPROUT_MANAGED_AGENT=1"] {
        let layout = Layout::new("/bin/claude", &["claude"], &["PATH=/bin", name]);
        assert_eq!(marked(&layout.bytes()), Some(false), "{name}");
    }
}

#[test]
fn m07_an_environment_that_is_withheld_is_neither_there_nor_missing() {
    let mut layouts = vec![goose()];
    for argv in [&[][..], &[""], &["", "", "x"], &["x", ""], &["", "", ""]] {
        layouts.push(Layout::new("/bin/zsh", argv, &["PATH=/bin", "SPROUT_MANAGED_AGENT=1", "A=1", "B=2"]));
        layouts.push(Layout::new("/bin/bash", argv, &[]));
    }
    for layout in layouts {
        let bytes = layout.withheld();
        assert_eq!(search(&bytes), Err(Why::Withheld), "{:?}", layout.argv);
        assert_eq!(args(&bytes).len(), layout.argv.len());
    }
}

/// What the kernel returns for a program with the entitlement com.apple.private.no-read-procargs.
#[test]
fn m07_a_program_that_shows_its_path_alone_tells_nothing_of_its_environment() {
    for len in 1..=17 {
        let path = "p".repeat(len);
        let bytes = [&1i32.to_ne_bytes()[..], format!("{path}\0\0{path}\0").as_bytes()].concat();
        assert_eq!(search(&bytes), Err(Why::Withheld), "{len}");
        assert_eq!(args(&bytes), [path]);
        for end in 0..bytes.len() {
            assert_eq!(marked(&bytes[..end]), None, "cut at {end}");
        }
    }
}

/// What the saved seed of the properties below shrank to; the seed itself makes another layout whenever the strategies
/// change.
#[test]
fn one_empty_argument_and_no_environment_is_read_exactly() {
    let layout = Layout::new("a", &[""], &[]);
    assert_eq!(args(&layout.bytes()), [""]);
    assert_ne!(marked(&layout.bytes()), Some(true));
    assert_eq!(args(&layout.withheld()), [""]);
    assert_eq!(search(&layout.withheld()), Err(Why::Withheld));
}

#[test]
fn no_environment_at_all_is_intact() {
    for path in 1..=9 {
        let layout = Layout::new(&"p".repeat(path), &["claude", "-p"], &[]);
        let scan = search(&layout.bytes()).unwrap();
        assert!(scan.is_intact_and_empty(), "path {path}: {scan:?}");
    }
}

#[test]
fn cut_anywhere_it_is_never_taken_for_whole() {
    let mut late = goose();
    late.env.rotate_left(3);
    for layout in [goose(), late] {
        let (whole, (_, arguments, environment)) = (layout.bytes(), layout.marks());
        let full = search(&whole).unwrap();
        for end in 0..whole.len() {
            match search(&whole[..end]) {
                Err(Why::Withheld) => assert_eq!(end, arguments, "only the kernel cuts there"),
                Err(_) => assert!(end < arguments),
                Ok(scan) if scan.condition == Condition::Intact => {
                    assert!(end > environment);
                    assert_eq!(scan, full, "cut at {end}");
                }
                Ok(_) => {}
            }
        }
    }
}

#[test]
fn an_environment_ends_where_the_kernel_says_or_nowhere() {
    let mut unknown = goose();
    unknown.kernel = vec![b"new_string=1".to_vec(), b"another=2".to_vec()];
    for extra in 0..8 {
        unknown.env.push([b"X=".to_vec(), vec![b'x'; extra]].concat());
        assert_eq!(marked(&unknown.bytes()), None, "{extra}");
    }
    // Eight zeros are no padding: there, the last variable was wiped.
    let mut wiped = goose();
    while wiped.marks().2 % 8 != 4 {
        wiped.env[0].push(b'x');
    }
    wiped.env.push(b"X=12345".to_vec());
    let (.., end) = wiped.marks();
    assert_eq!(marked(&wiped.bytes()), Some(true));
    assert_eq!(marked(&wiped.overwritten(end - 8, &[0; 8])), None);
}

#[test]
fn a_name_that_is_not_the_programs_own_is_no_reason_for_doubt_beyond_the_first_variable() {
    let env = ["PATH=/bin", "SPROUT_MANAGED_AGENT=1"];
    let layout = Layout::new("/opt/claude/versions/2.1.197", &["claude"], &env);
    assert_eq!(marked(&layout.bytes()), Some(true));
    let first = Layout::new("/opt/claude/versions/2.1.197", &["claude"], &[env[1], env[0]]);
    assert_eq!(marked(&first.bytes()), None);
    let own = Layout::new("/bin/claude", &["claude"], &[env[1], env[0]]);
    assert_eq!(marked(&own.bytes()), Some(true));
}

#[test]
fn variables_named_like_the_kernels_own_hide_no_marker() {
    for own in ["stack_guard=1", "th_port=x", "pfz="] {
        let layout = Layout::new("/bin/goose", &["goose"], &["PATH=/bin", own, "SPROUT_MANAGED_AGENT=1"]);
        assert_eq!(marked(&layout.bytes()), None, "{own}");
    }
    let empty = Layout::new("/bin/goose", &["goose"], &["PATH=/bin", "", "SPROUT_MANAGED_AGENT=1"]);
    assert_eq!(marked(&empty.bytes()), None, "an empty variable");
}

#[test]
fn values_of_any_bytes_and_of_any_length_are_read() {
    let mut layout = goose();
    layout.env.insert(0, [b"BIG=".to_vec(), vec![0xff; 900_000]].concat());
    layout.env.push(b"X=a\nSPROUT_MANAGED_AGENT=0\n=".to_vec());
    let scan = search(&layout.bytes()).unwrap();
    assert_eq!(scan.value(MARK), Some(&b"1"[..]));
    assert_eq!(scan.value(b"X"), Some(&b"a\nSPROUT_MANAGED_AGENT=0\n="[..]));
    layout.env.push(b"SPROUT_MANAGED_AGENT=2".to_vec());
    assert_eq!(search(&layout.bytes()).unwrap().get(MARK), Some(&Found::Contradictory));
}

#[test]
fn nonsense_is_told_as_such() {
    for bytes in [
        &b""[..],
        b"\0\0\0",
        &[0; 4],
        &[0xff; 64],
        &[&7i32.to_ne_bytes()[..], b"/bin/x\0\0a\0"].concat(),
        &[&1i32.to_ne_bytes()[..], b"/bin/xx"].concat(),
        &[&1i32.to_ne_bytes()[..], b"/b\0garbage\0a\0"].concat(),
        &[&(-1i32).to_ne_bytes()[..], b"/bin/x\0\0a\0"].concat(),
        &[&i32::MAX.to_ne_bytes()[..], b"/bin/x\0\0a\0"].concat(),
    ] {
        assert!(ProcArgs::parse(bytes).is_err(), "{}", bytes.escape_ascii());
    }
}

fn text(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    vec(prop_oneof![Just(b'a'), Just(b'='), Just(b'-'), Just(b'/'), Just(b' '), 1u8..=255], len)
}

fn variable() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![Just("A"), Just("PATH"), Just("HOME"), Just("X"), Just("SPROUT_MANAGED_AGENT")];
    (name, text(0..20)).prop_map(|(name, value)| [name.as_bytes(), b"=", &value].concat())
}

fn layout() -> impl Strategy<Value = Layout> {
    let arg = prop_oneof![text(0..12), variable(), Just(b"SPROUT_MANAGED_AGENT=1".to_vec())];
    (text(1..40), vec(arg, 0..8), vec(variable(), 0..8)).prop_map(|(path, argv, env)| {
        let kernel = KERNEL.iter().map(|s| s.as_bytes().to_vec()).collect();
        Layout { path, argv, env, kernel }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_was_executed_is_read_exactly_or_not_at_all(layout in layout()) {
        let bytes = layout.bytes();
        let parsed = ProcArgs::parse(&bytes).unwrap();
        prop_assert_eq!(parsed.path, layout.path.as_slice());
        prop_assert!(parsed.argv().eq(layout.argv.iter().map(Vec::as_slice)));
        let is_set = layout.env.iter().any(|v| v.starts_with(b"SPROUT_MANAGED_AGENT="));
        let scan = search(&bytes);
        let env: Vec<u8> = layout.env.iter().flat_map(|v| [v.as_slice(), b"\0"].concat()).collect();
        match &scan {
            Ok(scan) if scan.condition == Condition::Intact => {
                prop_assert_eq!(scan.get(MARK).is_some(), is_set);
                prop_assert_eq!(scan.len as usize, layout.env.iter().map(|v| v.len() + 1).sum::<usize>());
            }
            // Only what looks like an overwritten process may be doubted.
            Ok(_) => {
                prop_assert!(is_title(&layout.path, parsed.argv, &env), "{:?}", scan);
            }
            Err(why) => prop_assert!(false, "{:?}", why),
        }
    }

    #[test]
    fn a_protected_process_tells_nothing_of_its_environment(layout in layout()) {
        let bytes = layout.withheld();
        prop_assert_eq!(search(&bytes), Err(Why::Withheld));
        prop_assert_eq!(ProcArgs::parse(&bytes).unwrap().argv().count(), layout.argv.len());
    }

    #[test]
    fn damage_of_any_kind_is_survived(layout in layout(), at in 0usize..400, with in vec(any::<u8>(), 0..40)) {
        let mut bytes = layout.bytes();
        let at = at.min(bytes.len());
        let end = (at + with.len()).min(bytes.len());
        bytes[at..end].copy_from_slice(&with[..end - at]);
        let _ = search(&bytes);
    }

    #[test]
    fn any_bytes_at_all_are_survived(bytes in vec(any::<u8>(), 0..300)) {
        let _ = search(&bytes);
    }
}
