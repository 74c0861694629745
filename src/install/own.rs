//! Telling a file that we wrote from one that somebody else wrote, or changed since.
//!
//! The first comment says who wrote the file and holds a checksum of all the rest. An older version's file is ours as
//! long as its checksum is right, whatever it says. This guards somebody's work against us, not us against anybody.

use std::path::PathBuf;

const WORDS: &str = "Written by `reaper service install`, which also updates it; checksum ";

/// How a comment looks in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comment {
    /// `# …`
    Hash,
    /// `<!-- … -->`, behind the XML declaration.
    Xml,
}

/// What is at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No file.
    Nothing,
    /// A file as we wrote it: its text.
    Own(String),
    /// A file of ours that somebody changed.
    Changed,
    /// Somebody else's file.
    Foreign,
    /// A symbolic link, to there.
    Link(PathBuf),
}

/// Puts the comment in.
#[must_use]
pub fn seal(text: &str, comment: Comment) -> String {
    let sum = checksum(text);
    match comment {
        Comment::Hash => format!("# {WORDS}{sum:016x}.\n{text}"),
        Comment::Xml => {
            let seal = format!("<!-- {WORDS}{sum:016x}. -->\n");
            match text.split_once('\n') {
                Some((declaration, rest)) if declaration.starts_with("<?xml") => {
                    format!("{declaration}\n{seal}{rest}")
                }
                _ => seal + text,
            }
        }
    }
}

/// Whose text this is.
#[must_use]
pub fn recognise(text: &str) -> Found {
    let is_seal = |line: &str| line.contains(WORDS);
    let Some(seal) = text.split_inclusive('\n').take(2).find(|line| is_seal(line)) else {
        return Found::Foreign;
    };
    let rest = text.replacen(seal, "", 1);
    let sum = seal.split_once(WORDS).and_then(|(_, sum)| sum.get(..16));
    match sum.and_then(|sum| u64::from_str_radix(sum, 16).ok()) {
        Some(sum) if sum == checksum(&rest) => Found::Own(text.to_owned()),
        _ => Found::Changed,
    }
}

/// FNV-1a: the same on every machine and in every version.
fn checksum(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_ours_until_somebody_changes_it() {
        let unit = "[Unit]\nDescription=x\n";
        let plist = "<?xml version=\"1.0\"?>\n<plist/>\n";
        for (text, comment) in [(unit, Comment::Hash), (plist, Comment::Xml), ("", Comment::Hash)] {
            let sealed = seal(text, comment);
            assert_eq!(recognise(&sealed), Found::Own(sealed.clone()), "{sealed}");
            assert_eq!(recognise(text), Found::Foreign);
            // Whatever is changed in what the manager reads.
            for at in sealed.rfind(WORDS).map_or(0, |at| at + WORDS.len() + 22)..sealed.len() {
                let mut changed = sealed.clone().into_bytes();
                if let Some(byte) = changed.get_mut(at) {
                    *byte ^= 1;
                }
                let changed = String::from_utf8(changed).unwrap();
                assert_eq!(recognise(&changed), Found::Changed, "{changed}");
            }
            assert_eq!(recognise(&format!("{sealed}ExecStartPre=/bin/true\n")), Found::Changed);
            assert_eq!(recognise(&sealed.replace("ksum ", "ksum x")), Found::Changed);
        }
        assert!(seal(plist, Comment::Xml).starts_with("<?xml version=\"1.0\"?>\n<!-- "));
    }

    #[test]
    fn what_an_older_version_wrote_is_ours() {
        let old = "# Written by `reaper service install`, which also updates it; checksum f47d88337cda963b.\n[Unit]\n";
        assert_eq!(recognise(old), Found::Own(old.to_owned()), "{:016x}", checksum("[Unit]\n"));
    }
}
