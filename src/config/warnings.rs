//! Warnings about settings that are allowed but probably not meant.

use std::time::Duration;

use reaper_policy::duration;
use reaper_policy::profile::{Profile, ProfileOrigin, Programs};
use reaper_policy::program;

use super::diagnostics::Warning;
use super::outputs::is_global;
use super::setting::Settings;

/// Adds the warnings for the settings in force.
pub(super) fn of(settings: &Settings) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let policy = &settings.policy;
    if policy.grace.is_zero() {
        let origin = settings.origin("REAPER_GRACE");
        warnings.push(Warning::new(
            format!("`grace` is 0s (from {origin}): an agent is ended the moment it is seen orphaned"),
            "a few seconds let launchers restart and pick their agents up again",
        ));
    }
    if policy.term_timeout < Duration::from_secs(1) {
        let (given, origin) = (duration::format(policy.term_timeout), settings.origin("REAPER_TERM_TIMEOUT"));
        warnings.push(Warning::new(
            format!("`term-timeout` is {given} (from {origin}): agents cannot stop their own workers"),
            "agents were seen to need up to 14 s; the default is \"10s\"",
        ));
    }
    if policy.profiles.is_empty() {
        warnings.push(Warning::new("no profile is in force, so nothing will be found", "name one in `use`"));
    }
    for profile in &policy.profiles {
        of_profile(settings, profile, &mut warnings);
    }
    if let Some(address) = settings.outputs.listen.filter(|address| is_global(address.ip().to_canonical())) {
        let origin = settings.origin("REAPER_METRICS_LISTEN");
        warnings.push(Warning::new(
            format!(
                "`metrics.listen` is {address} (from {origin}), an address of the open internet, and access is not \
                 authenticated"
            ),
            "use a loopback or pod address, or restrict access by a firewall",
        ));
    }
    warnings
}

fn of_profile(settings: &Settings, profile: &Profile, warnings: &mut Vec<Warning>) {
    let policy = &settings.policy;
    let Programs::Named(rules) = &profile.programs else { return };
    if profile.origin != ProfileOrigin::BuiltIn {
        for rule in rules.iter() {
            let covers = |entry: &&String| program::names_widely(entry, rule.name.as_bytes());
            if let Some(entry) = policy.protect.iter().find(covers) {
                warnings.push(Warning::new(
                    format!(
                        "`{}` of profile `{}` is protected by `{entry}` and never ended",
                        rule.name, profile.name
                    ),
                    "remove it from the profile, or from `protect`",
                ));
            }
        }
    }
    let is_wrapper = |name: &str| policy.wrappers.iter().any(|wrapper| wrapper == name);
    for rule in rules.iter().filter(|rule| rule.with_arg.is_none() && is_wrapper(&rule.name)) {
        warnings.push(Warning::new(
            format!("`{}` is a wrapper, and a program of profile `{}`", rule.name, profile.name),
            "name what it starts instead, or say which one by `with-arg`",
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::{Overrides, Sources, load};

    #[test]
    fn a_warning_names_where_the_value_came_from() {
        let vars = [("REAPER_TERM_TIMEOUT", "1ms"), ("REAPER_METRICS_LISTEN", "203.0.113.5:80")];
        let env = vars.map(|(name, value)| (name.into(), value.into())).to_vec();
        let flags = Overrides { grace: Some(Duration::ZERO), ..Overrides::default() };
        let settings = load(&Sources { env, ..Sources::default() }, &flags).unwrap();
        let warnings = settings.warnings().iter().map(|warning| warning.message.as_str());
        for (warning, origin) in warnings.zip(["--grace", "REAPER_TERM_TIMEOUT", "REAPER_METRICS_LISTEN"]) {
            assert!(warning.contains(&format!("(from {origin})")), "{warning}");
        }
        assert_eq!(settings.warnings().len(), 3);
    }
}
