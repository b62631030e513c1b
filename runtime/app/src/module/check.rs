//! Checks what a module declares against the spec, when the application starts.

use super::Module;
use kernel::jobs::Consumer;

/// Checks a module against the spec and describes what is wrong: a job named after another module would run with that
/// module's permissions, and an event that nothing emits would never arrive.
pub fn check<M: Module>(module: &M) -> Result<(), String> {
    let own = |job: &str| {
        job.strip_prefix(M::NAME)
            .is_some_and(|rest| rest.starts_with('.'))
    };
    let jobs = module.jobs();
    if !jobs.is_empty() && !is_module(M::NAME) {
        return Err(format!(
            "there is no module `{}` in spec/app.yaml, so its jobs may do nothing",
            M::NAME
        ));
    }
    if let Some(job) = jobs.iter().find(|job| !own(job.name())) {
        return Err(format!(
            "the job `{}` of the module `{}` is not called like it",
            job.name(),
            M::NAME
        ));
    }
    let is_there = |name: &str| jobs.iter().any(|job| job.name() == name);
    if let Some(name) = (generated::REQUESTED.iter()).find(|name| own(name) && !is_there(name)) {
        return Err(format!(
            "requests may ask for the job `{name}`, and the module does not declare it"
        ));
    }
    for Consumer { event, .. } in module.consumers() {
        let of = event.split('.').next().unwrap_or_default();
        // A module may emit any event under its own name.
        let is_told = generated::EVENTS.contains(&event) || is_module(of);
        if !is_told {
            return Err(format!(
                "nobody tells `{event}`: `emit` of an entity, or the name of a module, is missing"
            ));
        }
    }
    Ok(())
}

/// Whether this is a module of the spec, or of the engine itself (these access no entity).
fn is_module(name: &str) -> bool {
    ["audit", "jobs"].contains(&name) || generated::MODULES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::module::{NoSettings, Parts};
    use kernel::{Result, http::ConfigError, jobs::Job};

    /// A module with one job and one consumer.
    #[derive(Clone)]
    struct Tried(&'static str, &'static str);

    impl Module for Tried {
        const NAME: &'static str = "trending";
        type Settings = NoSettings;

        fn new(_: &Parts, _: NoSettings) -> Result<Self, ConfigError> {
            Ok(Self("", ""))
        }

        fn jobs(&self) -> Vec<Job> {
            vec![Job::new(self.0, |_| async { Ok(()) })]
        }

        fn consumers(&self) -> Vec<Consumer> {
            let (event, job) = (self.1, self.0);
            vec![Consumer { event, job }]
        }
    }

    #[test]
    fn a_module_is_held_to_the_spec() {
        let said = |job, event| check(&Tried(job, event)).map_err(|reason| reason[..18].to_owned());
        assert_eq!(said("trending.rank", "event.publish"), Ok(()));
        assert_eq!(said("trending.rank", "payments.refunded"), Ok(()));
        for (job, event, expected) in [
            ("sessions.rank", "event.publish", "the job `sessions."),
            ("trendingrank.x", "event.publish", "the job `trendingr"),
            ("trending.rank", "event.publsh", "nobody tells `even"),
            // Entities that exist, but don't emit this event.
            ("trending.rank", "venue.create", "nobody tells `venu"),
            ("trending.rank", "payment.refunded", "nobody tells `paym"),
        ] {
            assert_eq!(said(job, event), Err(expected.to_owned()), "{job} {event}");
        }
    }
}
