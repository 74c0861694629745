//! The methods of the census.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The method of a census.
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
