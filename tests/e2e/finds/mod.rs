//! What must be found, or at least counted, and what must not disturb a sweep. Each test is named after what went wrong in
//! a real tool; `bad_` ones after what a user or a machine can get wrong.

mod adopting_parents;
mod environments;
mod limited_visibility;
mod program_names;
mod side_effects;
mod state_files;
mod support;
mod terminal;
mod thousand_orphans;
mod unresponsive_targets;
mod usage_errors;
mod users_and_proc;
mod wrapper_trees;
