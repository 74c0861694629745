//! Processes as the kernel lays them out, and titles as programs write them over their arguments: the marker is read
//! from the environment or not at all, and an intact environment is read.

#![no_main]

use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use reaper_platform::macos::procargs::ProcArgs;
use reaper_platform::{Condition, Wanted, Why};

const MARK: &str = "SPROUT_MANAGED_AGENT";

#[derive(Debug, Arbitrary)]
struct Scene {
    folder: Text,
    name: Text,
    first: First,
    args: Vec<Word>,
    env: Vec<Word>,
    title: Option<(Title, Text)>,
    is_withheld: bool,
}

/// What a program is called by: its path, its name, or its name as a login shell's.
#[derive(Debug, Arbitrary)]
enum First {
    Path,
    Name,
    Login,
}

#[derive(Debug, Arbitrary)]
enum Word {
    Mark,
    NoMark,
    Path,
    Any(Text),
    Variable(Text),
    Nothing,
}

/// How the title is written over what was there.
#[derive(Debug, Arbitrary)]
enum Title {
    /// Over all arguments, and zeros to their end: libuv.
    Zeros,
    /// With its NUL: strcpy.
    Copied,
    /// Zeros to the end of the first argument: strncpy.
    First,
    /// The arguments with blanks between them.
    Joined,
    /// As libuv does it, but with the program's own name.
    OwnName,
    /// As strcpy does it, but with the program's own name.
    OwnNameCopied,
}

/// Up to 40 bytes without a NUL.
#[derive(Debug)]
struct Text(Vec<u8>);

impl<'a> Arbitrary<'a> for Text {
    fn arbitrary(input: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let len = input.int_in_range(0..=40)?;
        let bytes = input.bytes(usize::min(len, input.len()))?;
        Ok(Self(bytes.iter().map(|b| (*b).max(1)).collect()))
    }
}

impl Word {
    fn bytes(&self, is_variable: bool) -> Vec<u8> {
        match self {
            Self::Mark => format!("{MARK}=1").into_bytes(),
            Self::NoMark => format!("X{MARK}=1").into_bytes(),
            Self::Path => b"PATH=/usr/bin:/bin".to_vec(),
            Self::Variable(text) => [b"A=", text.0.as_slice()].concat(),
            // No launcher gives a process an environment of anything but variables.
            Self::Any(text) if !is_variable => text.0.clone(),
            Self::Nothing if !is_variable => Vec::new(),
            Self::Any(_) | Self::Nothing => b"B=".to_vec(),
        }
    }
}

fn strings(list: &[Vec<u8>]) -> Vec<u8> {
    list.iter().flat_map(|s| s.iter().copied().chain([0])).collect()
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes
}

/// What `sysctl_procargsx` leaves of it for a protected process, by its own loop.
fn withheld(data: &[u8], argc: usize) -> &[u8] {
    let mut size = 0;
    for index in 0..=argc {
        let rest = &data[size..];
        let mut len = rest.iter().position(|b| *b == 0).map_or(rest.len(), |at| at + 1);
        while index == 0 && rest.get(len) == Some(&0) {
            len += 1;
        }
        size += len;
    }
    &data[..size]
}

fuzz_target!(|scene: Scene| {
    let clean = |t: &Text| t.0.iter().copied().filter(|b| *b != b'/').collect::<Vec<u8>>();
    let name = [clean(&scene.name), b"g".to_vec()].concat();
    let path = [&b"/"[..], &scene.folder.0, b"/", &name].concat();
    let first = match scene.first {
        First::Path => path.clone(),
        First::Name => name.clone(),
        First::Login => [b"-", name.as_slice()].concat(),
    };
    let args: Vec<Vec<u8>> = [first].into_iter().chain(scene.args.iter().map(|w| w.bytes(false))).collect();
    let env: Vec<Vec<u8>> = scene.env.iter().map(|w| w.bytes(true)).collect();
    let is_marked = env.iter().any(|v| v.starts_with(format!("{MARK}=").as_bytes()));

    let mut data = padded([path.as_slice(), b"\0"].concat());
    let begin = data.len();
    data.extend(strings(&args));
    let end = data.len();
    data.extend(strings(&env));
    let mut data = padded(data);
    data.extend(padded(strings(&[b"stack_guard=0x4d2f".to_vec(), b"ptr_munge=".to_vec()])));

    let mut write = |title: &[u8], zeros: usize| {
        let title = &title[..title.len().min(end - begin - 1)];
        let until = (begin + title.len() + zeros).min(end);
        data[begin..begin + title.len()].copy_from_slice(title);
        data[begin + title.len()..until].fill(0);
    };
    match &scene.title {
        None => {}
        Some((Title::Zeros, text)) => write(&text.0, usize::MAX / 2),
        Some((Title::Copied, text)) => write(&text.0, 1),
        Some((Title::First, text)) => {
            let text = &text.0[..text.0.len().min(args[0].len())];
            write(text, args[0].len() + 1 - text.len());
        }
        Some((Title::Joined, _)) => write(&args.join(&b' '), 0),
        Some((Title::OwnName, _)) => write(&name, usize::MAX / 2),
        Some((Title::OwnNameCopied, _)) => write(&name, 1),
    }
    let argc = i32::try_from(args.len()).unwrap().to_ne_bytes();
    let wanted = Wanted::new([MARK]);
    if scene.is_withheld && scene.title.is_none() {
        let bytes = [&argc[..], withheld(&data, args.len())].concat();
        assert_eq!(ProcArgs::parse(&bytes).unwrap().search(&wanted), Err(Why::Withheld));
        return;
    }
    let bytes = [&argc[..], &data].concat();
    let parsed = ProcArgs::parse(&bytes);
    if scene.title.is_none() {
        let parsed = parsed.as_ref().unwrap();
        assert_eq!(parsed.path, path);
        assert!(parsed.argv().eq(args.iter().map(Vec::as_slice)));
    }
    let Ok(scan) = parsed.and_then(|p| p.search(&wanted)) else {
        assert!(scene.title.is_some(), "a process as the kernel made it");
        return;
    };
    let found = scan.get(MARK.as_bytes()).is_some();
    if scan.condition == Condition::Intact {
        assert!(!found || is_marked, "the marker was taken from the arguments");
        assert!(found || !is_marked || scene.title.is_some(), "the marker was overlooked");
    } else {
        // Empty arguments may be the rest of a title, which may have pushed others behind the count.
        let zeros = args.iter().skip(1).take_while(|a| a.is_empty()).count();
        let mut near = args.iter().skip(1).chain(env.iter().take(zeros.max(1)));
        let is_odd = near.any(|s| s.starts_with(format!("{MARK}=").as_bytes()));
        assert!(scene.title.is_some() || is_odd, "there was nothing to doubt");
    }
});
