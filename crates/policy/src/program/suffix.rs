//! The endings that a program's name may have and still mean the same program.
//!
//! `goose-1.9.0` and `codex-x86_64-unknown-linux-musl` are goose and codex; `claude-monitor` and `claude-code-router` are
//! not claude. So the endings form a closed set: a version, a target and a packaging, each at most once, in any order,
//! and nothing else.

/// Operating systems in the names of targets.
const SYSTEMS: [&[u8]; 2] = [b"linux", b"darwin"];
/// Processors as compilers write them, and as Node.js packages do.
const PROCESSORS: [&[u8]; 5] = [b"x86_64", b"aarch64", b"arm64", b"x64", b"amd64"];
/// Processors behind the system, as Node.js packages have them: `opencode-linux-x64-baseline-musl`.
const PROCESSORS_BEHIND: [&[u8]; 4] = [b"x64", b"arm64", b"x86_64", b"aarch64"];
/// Endings that packagers give to the program behind a wrapper script.
const PACKAGINGS: [&[u8]; 4] = [b"-raw", b"-unwrapped", b".real", b".bin"];
const PRERELEASES: [&[u8]; 5] = [b"alpha", b"beta", b"rc", b"nightly", b"canary"];

/// Whether this is empty, or at most one of each ending and nothing else.
#[must_use]
pub(super) fn is_closed(rest: &[u8]) -> bool {
    ends(rest, [version, target, packaging].map(Some))
}

/// Reads one ending and returns every possible rest: a text can sometimes be read in two ways.
type Ending = fn(&[u8]) -> Vec<&[u8]>;

fn ends(rest: &[u8], unused: [Option<Ending>; 3]) -> bool {
    rest.is_empty()
        || unused.iter().enumerate().any(|(at, ending)| {
            let Some(ending) = ending else { return false };
            let mut others = unused;
            if let Some(used) = others.get_mut(at) {
                *used = None;
            }
            ending(rest).into_iter().any(|rest| ends(rest, others))
        })
}

/// `[-.@_]v?N(.N)+(-(alpha|beta|rc|nightly|canary).?(N(.N)*)?)?`: one number alone is no version, as in `pi-4`.
fn version(text: &[u8]) -> Vec<&[u8]> {
    let Some((b'-' | b'.' | b'@' | b'_', text)) = text.split_first() else { return Vec::new() };
    let (numbers, rest) = numbers(text.strip_prefix(b"v").unwrap_or(text));
    if numbers < 2 {
        return Vec::new();
    }
    let mut ways = vec![rest];
    if let Some(rest) = rest.strip_prefix(b"-").and_then(|rest| one_of(&PRERELEASES, rest)) {
        ways.push(rest);
        for rest in [Some(rest), rest.strip_prefix(b".")].into_iter().flatten() {
            ways.push(rest);
            ways.push(self::numbers(rest).1);
        }
    }
    ways
}

/// The count of dot-separated numbers at the start, and the rest.
fn numbers(text: &[u8]) -> (usize, &[u8]) {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (mut count, mut rest) = (0, text);
    loop {
        let from = if count == 0 { Some(rest) } else { rest.strip_prefix(b".") };
        let Some((number, behind)) = from.and_then(|from| from.split_at_checked(digits(from))) else { break };
        if number.is_empty() {
            break;
        }
        (count, rest) = (count + 1, behind);
    }
    (count, rest)
}

/// `-(x86_64|aarch64|arm64|x64|amd64)-((unknown|pc|apple)-)?(linux|darwin)(-(gnu|musl))?`, or
/// `-(linux|darwin)-(x64|arm64|x86_64|aarch64)(-baseline)?(-musl)?`.
fn target(text: &[u8]) -> Vec<&[u8]> {
    let Some(text) = text.strip_prefix(b"-") else { return Vec::new() };
    let mut ways = Vec::new();
    if let Some(rest) = one_of(&PROCESSORS, text).and_then(|rest| rest.strip_prefix(b"-")) {
        let vendors: [&[u8]; 3] = [b"unknown-", b"pc-", b"apple-"];
        if let Some(rest) = one_of(&SYSTEMS, one_of(&vendors, rest).unwrap_or(rest)) {
            let libraries: [&[u8]; 2] = [b"-gnu", b"-musl"];
            ways.extend(one_of(&libraries, rest));
            ways.push(rest);
        }
    }
    let behind = one_of(&SYSTEMS, text).and_then(|rest| rest.strip_prefix(b"-"));
    if let Some(rest) = behind.and_then(|rest| one_of(&PROCESSORS_BEHIND, rest)) {
        let baseline = rest.strip_prefix(b"-baseline");
        for rest in [Some(rest), baseline].into_iter().flatten() {
            ways.extend(rest.strip_prefix(b"-musl"));
            ways.push(rest);
        }
    }
    ways
}

fn packaging(text: &[u8]) -> Vec<&[u8]> {
    one_of(&PACKAGINGS, text).into_iter().collect()
}

/// The rest of the text after the one of these words that it begins with.
fn one_of<'a>(words: &[&[u8]], text: &'a [u8]) -> Option<&'a [u8]> {
    words.iter().find_map(|word| text.strip_prefix(*word))
}

#[cfg(test)]
mod tests;
