//! Tells a service file that reaper wrote from a foreign one, and from one that was edited since.
//!
//! The first comment names `reaper service install` and holds a checksum of the rest. A file of an older version is
//! recognised by its checksum alone. This protects the user's edits from being overwritten; it is no protection
//! against forgery.

use std::path::PathBuf;

const WORDS: &str = "Written by `reaper service install`, which also updates it; checksum ";

/// The syntax of a comment in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comment {
    /// `# …`
    Hash,
    /// `<!-- … -->`, after the XML declaration.
    Xml,
}

/// What is at the path of the service file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// No file.
    Nothing,
    /// A file as reaper wrote it: its text.
    Own(String),
    /// A file that reaper wrote, edited since.
    Changed,
    /// A file that reaper did not write.
    Foreign,
    /// A symbolic link, with its target.
    Link(PathBuf),
}

/// Adds the comment with the checksum to a file's text.
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

/// Classifies a file by its text.
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

/// FNV-1a, 64 bits: the same on every machine and in every version.
fn checksum(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_recognised_until_it_is_edited() {
        let unit = "[Unit]\nDescription=x\n";
        let plist = "<?xml version=\"1.0\"?>\n<plist/>\n";
        for (text, comment) in [(unit, Comment::Hash), (plist, Comment::Xml), ("", Comment::Hash)] {
            let sealed = seal(text, comment);
            assert_eq!(recognise(&sealed), Found::Own(sealed.clone()), "{sealed}");
            assert_eq!(recognise(text), Found::Foreign);
            // Any changed byte in the part that the manager reads.
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
    fn a_file_of_an_older_version_is_recognised() {
        let old = "# Written by `reaper service install`, which also updates it; checksum f47d88337cda963b.\n[Unit]\n";
        assert_eq!(recognise(old), Found::Own(old.to_owned()), "{:016x}", checksum("[Unit]\n"));
    }
}
