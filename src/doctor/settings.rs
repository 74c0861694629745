//! Whether the config can be used, and which of its settings are probably not meant.

use crate::config::{ConfigError, Settings};
use crate::report::check::Check;
use reaper_policy::escape::escape;

const NAME: &str = "config";

/// Makes the check.
#[must_use]
pub fn check(loaded: &Result<Settings, ConfigError>) -> Check {
    let settings = match loaded {
        Ok(settings) => settings,
        Err(e) => {
            // The text points at the place with a caret, and ends with the hint.
            let text = e.to_string();
            let (what, hint) =
                text.rsplit_once("\nhint: ").unwrap_or((&text, "`reaper config check` shows it, too"));
            return Check::fail(NAME, what, hint);
        }
    };
    let files = settings.files();
    let from = if files.is_empty() {
        "built-in defaults".to_owned()
    } else {
        let names: Vec<String> =
            files.iter().map(|path| escape(path.as_os_str().as_encoded_bytes())).collect();
        names.join(", ")
    };
    let policy = settings.policy();
    let profiles: Vec<&str> = policy.profiles.iter().map(|profile| &*profile.name).collect();
    let sound = format!("{from}; profiles {}", profiles.join(", "));
    match settings.warnings() {
        [] => Check::ok(NAME, sound),
        [first, rest @ ..] => {
            let more: Vec<&str> = rest.iter().map(|w| w.message.as_str()).collect();
            let what = std::iter::once(first.message.as_str()).chain(more).collect::<Vec<_>>().join("; ");
            Check::warn(NAME, format!("{sound}: {what}"), first.hint.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, Sources, load};
    use crate::report::check::Level;

    fn with(env: &[(&str, &str)]) -> Check {
        let env = env.iter().map(|(name, value)| (name.into(), value.into())).collect();
        check(&load(&Sources { env, ..Sources::default() }, &Overrides::default()))
    }

    #[test]
    fn a_config_is_sound_odd_or_broken() {
        let sound = with(&[]);
        assert_eq!(
            (sound.level, sound.what.as_str()),
            (Level::Ok, "built-in defaults; profiles sprout, buzz, own")
        );
        let odd = with(&[("REAPER_GRACE", "0s"), ("REAPER_TERM_TIMEOUT", "5ms")]);
        assert_eq!(odd.level, Level::Warn);
        assert!(odd.what.contains("`grace` is 0s") && odd.what.contains("`term-timeout` is 5ms"), "{odd:?}");
        let broken = with(&[("REAPER_USE", "sprut")]);
        assert_eq!(broken.level, Level::Fail);
        assert_eq!(broken.hint.as_deref(), Some("did you mean `sprout`?"));
    }
}
