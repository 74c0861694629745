//! One man page.

use std::path::PathBuf;

/// One page: where it goes below the directory, and its source.
pub(super) struct Page {
    pub(super) path: PathBuf,
    pub(super) text: String,
}
