//! How many processes can be held at once: each takes two file descriptors.

use crate::report::check::Check;

const NAME: &str = "limits";
/// Below this, even a small tree is ended in several rounds.
const FEW: usize = 16;

/// Makes the check. `files` are the soft and the hard limit, `None` for no limit; reaper raises the soft one itself.
#[must_use]
pub fn check(files: (Option<u64>, Option<u64>), at_once: usize, max_targets: usize) -> Check {
    let shown = |limit: Option<u64>| limit.map_or_else(|| "any number of".to_owned(), |n| n.to_string());
    let may = format!("{} open files allowed ({} at most)", shown(files.0), shown(files.1));
    if at_once >= max_targets {
        return Check::ok(NAME, format!("{may}, enough to end {max_targets} processes at once"));
    }
    let what = format!("{may}: only {at_once} processes are ended at once, the others after them");
    let hint = "raise the hard limit of open files (LimitNOFILE= in a unit, `ulimit -Hn`)";
    if at_once >= FEW { Check::ok(NAME, what) } else { Check::warn(NAME, what, hint) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::check::Level;

    #[test]
    fn only_a_very_low_limit_matters() {
        let level = |hard, at_once| check((Some(1024), hard), at_once, 256).level;
        assert_eq!(level(None, 30_000), Level::Ok);
        assert_eq!(level(Some(524_288), 262_112), Level::Ok);
        assert_eq!(level(Some(256), 96), Level::Ok);
        assert_eq!(level(Some(80), 8), Level::Warn);
        assert!(check((Some(64), Some(70)), 3, 256).what.contains("only 3 processes"));
    }
}
