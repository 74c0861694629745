//! The closed set of endings, compared with the same grammar as a regular expression.

use crate::program::names_closely;
use proptest::prelude::*;

proptest! {
    /// Only names of the grammar match: compared with the regular expression on strings built from similar-looking
    /// pieces.
    #[test]
    fn only_the_closed_set_of_endings_matches(pieces in prop::collection::vec(piece(), 0..7)) {
        let name = format!("goose{}", pieces.concat());
        prop_assert_eq!(names_closely("goose", name.as_bytes()), grammar().is_match(&name), "{}", name);
    }

    /// The same for arbitrary bytes after the name.
    #[test]
    fn no_other_bytes_behind_a_name_match(rest in prop::collection::vec(any::<u8>(), 0..16)) {
        let name = [b"goose", rest.as_slice()].concat();
        let expected = std::str::from_utf8(&name).is_ok_and(|name| grammar().is_match(name));
        prop_assert_eq!(names_closely("goose", &name), expected);
    }
}

fn piece() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec![
        "-",
        ".",
        "@",
        "_",
        "v",
        "1",
        "2.0",
        "1.9.0",
        "-1.9.0",
        "_v1.2",
        "-alpha",
        "-beta",
        "-rc.1",
        "-nightly",
        "-canary2",
        "-x86_64",
        "-aarch64",
        "-arm64",
        "-x64",
        "-amd64",
        "-unknown",
        "-pc",
        "-apple",
        "-linux",
        "-darwin",
        "-gnu",
        "-musl",
        "-baseline",
        "-raw",
        "-unwrapped",
        ".real",
        ".bin",
        "-acp",
        "-desktop",
        "proxy",
        "\n",
        "-linux-x64",
        "-x86_64-unknown-linux-musl",
    ])
}

/// The same grammar as a regular expression.
fn grammar() -> &'static regex::Regex {
    static GRAMMAR: std::sync::OnceLock<regex::Regex> = std::sync::OnceLock::new();
    GRAMMAR.get_or_init(|| {
        let version = r"[-.@_]v?[0-9]+(\.[0-9]+)+(-(alpha|beta|rc|nightly|canary)\.?([0-9]+(\.[0-9]+)*)?)?";
        let target = r"-(x86_64|aarch64|arm64|x64|amd64)-((unknown|pc|apple)-)?(linux|darwin)(-(gnu|musl))?|-(linux|darwin)-(x64|arm64|x86_64|aarch64)(-baseline)?(-musl)?";
        let packaging = r"-raw|-unwrapped|\.real|\.bin";
        let (v, t, p) = (version, target, packaging);
        let orders = [[v, t, p], [v, p, t], [t, v, p], [t, p, v], [p, v, t], [p, t, v]];
        let orders = orders.map(|order| order.map(|ending| format!("({ending})?")).concat());
        regex::Regex::new(&format!(r"\Agoose({})\z", orders.join("|"))).unwrap()
    })
}
