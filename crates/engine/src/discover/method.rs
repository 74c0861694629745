//! The ways in which orphans are looked for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How the census was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// From the adopters' own lists of children.
    Children,
    /// From a listing of all processes.
    Walk,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}
