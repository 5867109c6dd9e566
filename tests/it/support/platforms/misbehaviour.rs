//! What a stand-in does instead of answering properly, and to which calls.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::stand_in::Call;

/// Something that goes wrong. `R` are the refusals that only one platform knows.
#[derive(Clone, Debug)]
pub enum Misbehaviour<R> {
    /// 429 in the platform's own form. The call is not processed.
    TooManyRequests { retry_after: Duration },
    /// A status of 500 and above. The call is not processed.
    ServerError(u16),
    /// The connection is reset before the call is processed.
    Reset,
    /// The call is processed, and then the connection is reset.
    AnswerLost,
    /// The call is processed at once and answered so much later.
    Slow(Duration),
    /// The call is neither processed nor answered.
    Hang,
    /// The call is not processed, and a page of HTML comes back with status 200.
    Garbage,
    /// The platform says no in its own words. The call is not processed.
    Refuse(R),
}

type Condition = Arc<dyn Fn(&Call) -> bool + Send + Sync>;

/// A misbehaviour and the calls that it befalls: without further words the next one.
#[derive(Clone)]
pub struct Rule<R> {
    behaviour: Misbehaviour<R>,
    method: Option<String>,
    condition: Option<Condition>,
    skips: usize,
    /// How many calls are left; `None` for all that come.
    times: Option<usize>,
}

impl<R: Clone> Rule<R> {
    pub fn new(behaviour: Misbehaviour<R>) -> Self {
        Self { behaviour, method: None, condition: None, skips: 0, times: Some(1) }
    }

    /// Only for calls of this method, such as `sendMessage`.
    pub fn on(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only for calls of which this is true.
    pub fn when(mut self, condition: impl Fn(&Call) -> bool + Send + Sync + 'static) -> Self {
        self.condition = Some(Arc::new(condition));
        self
    }

    /// Only after so many such calls went well.
    pub fn after(mut self, calls: usize) -> Self {
        self.skips = calls;
        self
    }

    /// For so many calls.
    pub fn times(mut self, times: usize) -> Self {
        self.times = Some(times);
        self
    }

    /// For all calls until the stand-in is told to behave.
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    fn concerns(&self, call: &Call) -> bool {
        self.method.as_ref().is_none_or(|method| *method == call.name)
            && self.condition.as_ref().is_none_or(|condition| condition(call))
    }

    /// Whether this call is the one that is skipped next.
    fn skips(&mut self) -> bool {
        let skips = self.skips > 0;
        self.skips = self.skips.saturating_sub(1);
        skips
    }
}

impl<R> fmt::Debug for Rule<R>
where
    R: fmt::Debug,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} on {:?}, {:?} times", self.behaviour, self.method, self.times)
    }
}

/// Takes what befalls this call: by the oldest rule that concerns it and does not skip it.
pub fn next<R: Clone>(rules: &mut Vec<Rule<R>>, call: &Call) -> Option<Misbehaviour<R>> {
    let at = rules.iter_mut().position(|rule| rule.concerns(call) && !rule.skips())?;
    let rule = &mut rules[at];
    let behaviour = rule.behaviour.clone();
    rule.times = rule.times.map(|times| times - 1);
    if rule.times == Some(0) {
        rules.remove(at);
    }
    Some(behaviour)
}
