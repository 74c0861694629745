//! Which script an interpreter runs.
//!
//! The argument vector of `node --require x.cjs /opt/agent/cli.js` names the agent, but finding that out requires
//! knowing which options take a value. Each interpreter's rules are a row of a table here.

use super::identity::{Identity, Name, Source, base_name};

/// Number of arguments examined. Options come first; a script further back is not recognised.
const ARGS_MAX: usize = 128;
/// Folders that name a stage of a build, not a package.
const LAYOUT: [&[u8]; 14] = [
    b"dist",
    b"build",
    b"lib",
    b"src",
    b"bin",
    b"out",
    b"esm",
    b"cjs",
    b"bundle",
    b"js",
    b".bin",
    b"scripts",
    b"node_modules",
    b"site-packages",
];
/// File stems that name a role, not a program: the package folder above is used instead.
const ROLES: [&[u8]; 5] = [b"cli", b"index", b"main", b"__main__", b"bin"];
const EXTENSIONS: [&[u8]; 11] =
    [b".js", b".mjs", b".cjs", b".ts", b".mts", b".cts", b".tsx", b".py", b".rb", b".pl", b".jar"];

/// An interpreter whose own name says nothing about what it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Interpreter {
    Node,
    Bun,
    Deno,
    Python,
    Ruby,
    Perl,
    Java,
}

/// A script: the path as given and the name it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Script<'a> {
    pub(super) path: &'a [u8],
    pub(super) name: &'a [u8],
}

impl Interpreter {
    /// The interpreter of this base name, version suffix included: `python3.12`, `node-22`, `nodejs`.
    pub(super) fn named(name: &[u8]) -> Option<Self> {
        static KNOWN: [(&[u8], Interpreter); 10] = [
            (b"nodejs", Interpreter::Node),
            (b"node", Interpreter::Node),
            (b"bunx", Interpreter::Bun),
            (b"bun", Interpreter::Bun),
            (b"deno", Interpreter::Deno),
            (b"python", Interpreter::Python),
            (b"pypy", Interpreter::Python),
            (b"ruby", Interpreter::Ruby),
            (b"perl", Interpreter::Perl),
            (b"java", Interpreter::Java),
        ];
        let name = name.strip_suffix(b".exe").unwrap_or(name);
        // Called for every name of every process: nearly all differ in the first letter.
        let first = name.first()?.to_ascii_lowercase();
        let alike = KNOWN.iter().filter(|(known, _)| known.first() == Some(&first));
        alike.copied().find_map(|(known, interpreter)| {
            let (head, version) = name.split_at_checked(known.len())?;
            let versioned = version.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-'));
            (head.eq_ignore_ascii_case(known) && versioned).then_some(interpreter)
        })
    }

    /// The script named by the arguments after the first.
    pub(super) fn script<'a>(self, invoked_as: &[u8], args: &'a [Vec<u8>]) -> Option<Script<'a>> {
        let mut args = args.iter().take(ARGS_MAX).map(Vec::as_slice);
        let mut verb_may_follow = matches!(self, Self::Bun | Self::Deno) && invoked_as != b"bunx";
        while let Some(arg) = args.next() {
            match arg {
                b"" | b"-" => return None,
                b"--" => return args.next().and_then(from_path),
                [b'-', ..] => match self.option(arg) {
                    OptionKind::Flag => {}
                    OptionKind::TakesValue => drop(args.next()),
                    OptionKind::Code => return None,
                    OptionKind::Path => return args.next().and_then(from_path),
                    OptionKind::Module => return args.next().and_then(from_module),
                    OptionKind::ModuleHere(module) => return from_module(module),
                },
                b"run" | b"serve" | b"x" | b"exec" if verb_may_follow => verb_may_follow = false,
                verb if verb_may_follow && self.is_other_verb(verb) => return None,
                class if self == Self::Java => return from_class(class),
                path => return from_path(path),
            }
        }
        None
    }

    fn is_other_verb(self, word: &[u8]) -> bool {
        const BUN: [&[u8]; 14] = [
            b"install", b"i", b"add", b"a", b"remove", b"rm", b"test", b"build", b"update", b"link",
            b"create", b"init", b"upgrade", b"repl",
        ];
        const DENO: [&[u8]; 17] = [
            b"task", b"test", b"bench", b"check", b"cache", b"compile", b"eval", b"fmt", b"lint", b"lsp",
            b"repl", b"install", b"add", b"remove", b"info", b"jupyter", b"doc",
        ];
        match self {
            Self::Bun => BUN.contains(&word),
            Self::Deno => DENO.contains(&word),
            _ => false,
        }
    }

    fn option(self, option: &[u8]) -> OptionKind<'_> {
        // Written as --option=value, a value cannot be mistaken for the script.
        let inline = option.starts_with(b"--") && option.contains(&b'=');
        let key = option.split(|byte| *byte == b'=').next().unwrap_or_default();
        match (self, key) {
            (Self::Node, b"-e" | b"--eval" | b"-p" | b"--print" | b"-pe" | b"--run" | b"--test") => {
                OptionKind::Code
            }
            (Self::Bun, b"-e" | b"--eval" | b"-p" | b"--print") => OptionKind::Code,
            (Self::Ruby | Self::Perl, [b'-', b'e' | b'E', ..]) => OptionKind::Code,
            (Self::Python, [b'-', cluster @ ..]) if !key.starts_with(b"--") => {
                python_cluster(option, cluster)
            }
            _ if inline => OptionKind::Flag,
            (Self::Java, b"-jar") => OptionKind::Path,
            (Self::Java, b"-m" | b"--module") => OptionKind::Module,
            _ if self.options_with_value().contains(&key) => OptionKind::TakesValue,
            _ => OptionKind::Flag,
        }
    }

    const fn options_with_value(self) -> &'static [&'static [u8]] {
        match self {
            Self::Node => &[
                b"-r",
                b"--require",
                b"--import",
                b"--loader",
                b"--experimental-loader",
                b"-C",
                b"--conditions",
                b"--env-file",
                b"--env-file-if-exists",
                b"--title",
                b"--input-type",
                b"--icu-data-dir",
                b"--openssl-config",
                b"--redirect-warnings",
                b"--trace-event-categories",
                b"--inspect-port",
                b"--watch-path",
                b"--diagnostic-dir",
                b"--stack-trace-limit",
                b"--max-http-header-size",
            ],
            Self::Bun => &[
                b"-r",
                b"--preload",
                b"--require",
                b"--import",
                b"--cwd",
                b"-c",
                b"--config",
                b"--env-file",
                b"--tsconfig-override",
                b"--port",
                b"--conditions",
                b"-d",
                b"--define",
                b"-l",
                b"--loader",
                b"--package",
                b"-p",
            ],
            Self::Deno => &[
                b"-c",
                b"--config",
                b"--import-map",
                b"--lock",
                b"-L",
                b"--log-level",
                b"--cert",
                b"--location",
                b"--seed",
                b"--ext",
                b"--preload",
                b"--port",
                b"--host",
            ],
            Self::Python => &[b"--check-hash-based-pycs"],
            Self::Ruby => &[b"-r", b"-I", b"-C", b"--encoding"],
            Self::Perl => &[b"-I"],
            Self::Java => &[
                b"-cp",
                b"-classpath",
                b"--class-path",
                b"-p",
                b"--module-path",
                b"--upgrade-module-path",
                b"--add-modules",
                b"--add-opens",
                b"--add-exports",
                b"--add-reads",
                b"--limit-modules",
                b"--patch-module",
                b"--enable-native-access",
                b"--source",
            ],
        }
    }
}

/// The name of `bun` or `deno` where it runs a package's command (`bun run dev`, `deno task dev`) and not a script of its
/// own: then it only starts another program and waits for it. No other interpreter does that.
pub(super) fn runner<'a>(identity: &Identity<'a>) -> Option<Name<'a>> {
    let argv = identity.argv?;
    let argv0 = argv.first().map(Vec::as_slice).unwrap_or_default();
    let paths = [(identity.exe, Source::Exe), (Some(argv0), Source::Argv0)];
    let (name, source) = paths.into_iter().find_map(|(path, source)| {
        let name = base_name(path?);
        let name = name.strip_suffix(b" (deleted)").unwrap_or(name);
        Some((name.strip_suffix(b".exe").unwrap_or(name), source))
    })?;
    let interpreter =
        Interpreter::named(name).filter(|i| matches!(i, Interpreter::Bun | Interpreter::Deno))?;
    let script = interpreter.script(base_name(argv0), argv.get(1..).unwrap_or_default());
    (!script.is_some_and(|script| is_file(script.path))).then_some(Name { bytes: name, source })
}

/// Whether a word names a script rather than a command of a package.
fn is_file(word: &[u8]) -> bool {
    word.contains(&b'/')
        || word.starts_with(b"npm:")
        || word.starts_with(b"jsr:")
        || EXTENSIONS.iter().any(|extension| word.ends_with(extension))
}

enum OptionKind<'a> {
    Flag,
    TakesValue,
    Code,
    Path,
    Module,
    ModuleHere(&'a [u8]),
}

/// Python's one-letter options may stand together, and the last may bring its value along: `-Imhttp.server`.
fn python_cluster<'a>(option: &'a [u8], cluster: &[u8]) -> OptionKind<'a> {
    let Some(at) = cluster.iter().position(|letter| matches!(letter, b'c' | b'm' | b'W' | b'X' | b'Q'))
    else {
        return OptionKind::Flag;
    };
    let rest = option.get(at + 2..).unwrap_or_default();
    match (cluster.get(at), rest.is_empty()) {
        (Some(b'c'), _) => OptionKind::Code,
        (Some(b'm'), true) => OptionKind::Module,
        (Some(b'm'), false) => OptionKind::ModuleHere(rest),
        (_, true) => OptionKind::TakesValue,
        (_, false) => OptionKind::Flag,
    }
}

/// `python -m package.__main__`, `java -m module/package.Class`.
fn from_module(module: &[u8]) -> Option<Script<'_>> {
    let name = match module.split(|byte| *byte == b'/').collect::<Vec<_>>().as_slice() {
        [_, class] => return from_class(class),
        _ => module.strip_suffix(b".__main__").unwrap_or(module),
    };
    (!name.is_empty()).then_some(Script { path: module, name })
}

/// `org.example.Agent` is `Agent`.
fn from_class(class: &[u8]) -> Option<Script<'_>> {
    if class.first() == Some(&b'@') || class.ends_with(b".java") {
        return None;
    }
    let name = class.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    (!name.is_empty()).then_some(Script { path: class, name })
}

fn from_path(path: &[u8]) -> Option<Script<'_>> {
    if path.starts_with(b"-") {
        return None;
    }
    let stem = stem(without_release(path));
    let name = if ROLES.contains(&stem) { package_above(path)? } else { stem };
    (!name.is_empty()).then_some(Script { path, name })
}

fn stem(path: &[u8]) -> &[u8] {
    let base = base_name(path);
    EXTENSIONS.iter().find_map(|extension| base.strip_suffix(*extension)).unwrap_or(base)
}

/// A package requested by name may carry its version: `npm:@scope/agent@1.2`.
fn without_release(path: &[u8]) -> &[u8] {
    let spec = path.strip_prefix(b"npm:").or_else(|| path.strip_prefix(b"jsr:")).unwrap_or(path);
    match spec.iter().rposition(|byte| *byte == b'@') {
        Some(at) if at > 0 && spec.get(at - 1) != Some(&b'/') && !spec.starts_with(b"/") => {
            spec.get(..at).unwrap_or(spec)
        }
        _ => spec,
    }
}

/// The nearest folder above that names something: `codex-acp` of `codex-acp/dist/index.js`.
fn package_above(path: &[u8]) -> Option<&[u8]> {
    path.rsplit(|byte| *byte == b'/')
        .skip(1)
        .find(|folder| !folder.is_empty() && !matches!(*folder, b"." | b"..") && !LAYOUT.contains(folder))
}
