//! The README as blocks of code.

use std::path::PathBuf;

/// Where it is.
pub fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("README.md")
}

/// Its text.
pub fn text() -> String {
    std::fs::read_to_string(path()).expect("there is a README")
}

/// The content of every fenced block of this language, in order.
pub fn blocks(language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let text = text();
    let inside = |block: &str| block.split("\n```").next().unwrap_or_default().to_owned() + "\n";
    text.split(&fence).skip(1).map(inside).collect()
}

/// The only block of this language that contains a text.
pub fn block(language: &str, holding: &str) -> String {
    let mut found: Vec<String> = blocks(language).into_iter().filter(|b| b.contains(holding)).collect();
    assert_eq!(found.len(), 1, "blocks of {language} with `{holding}` in the README");
    found.remove(0)
}
