//! Whether environments of processes can be read. In a container reaper may run as another user or group than the
//! agents; then it never finds anything, while everything else about it looks healthy.

use crate::report::check::Check;
use reaper_engine::tracker::Survey;
use reaper_engine::visibility::AS_THE_AGENTS;

/// Makes the check; `None` where at least one environment can be read.
#[must_use]
pub fn check(survey: &Survey) -> Option<Check> {
    let what =
        "not one environment of the processes here could be read, so no marker of an agent can be seen";
    survey.blind.then(|| Check::fail("agents", what, AS_THE_AGENTS))
}
