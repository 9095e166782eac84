//! What bounds the retries of all calls together.

use std::sync::Arc;

use super::{call, rng, said};
use crate::classify::{Failure, Outcome};
use crate::matcher::Fraction;
use crate::retry::{Budget, Conditions, Context, Limit, OfRetries, Policy, Start};
use crate::testing::at;

#[test]
fn a_budget_is_a_share_of_first_attempts() {
    let budget = Arc::new(Budget::default());
    let limit = Limit::default();
    let calls: Vec<_> = (0..120).map(|_| budget.enter(limit)).collect();
    let mut permits: Vec<_> = std::iter::from_fn(|| budget.admit(limit, at(0))).collect();
    // 20 retries for 100 that are not.
    assert_eq!((permits.len(), budget.retries()), (20, 20));
    permits.pop();
    assert!(budget.admit(limit, at(0)).is_some());
    drop((calls, permits));
    assert_eq!((budget.calls(), budget.retries()), (0, 0));
    let few: Vec<_> = std::iter::from_fn(|| budget.admit(limit, at(0))).collect();
    assert_eq!(few.len(), 3);
    drop(few);
    let five: Vec<_> = std::iter::from_fn(|| budget.admit(Limit::AtMost(5), at(0))).collect();
    assert_eq!(five.len(), 5);
}

/// How many of `calls`, one at a time, are sent again at `now`.
fn sent_again(budget: &Arc<Budget>, limit: Limit, calls: usize, now: u64) -> usize {
    let is_sent_again = |_: &usize| {
        let _under_way = budget.enter(limit);
        budget.admit(limit, at(now)).is_some()
    };
    (0..calls).filter(is_sent_again).count()
}

#[test]
fn a_budget_is_a_share_of_recent_calls_however_soon_retries_end() {
    let budget = Arc::new(Budget::default());
    let limit = Limit::default();
    // A hundred are under way, so that nothing is in reserve.
    let _calls: Vec<_> = (0..100).map(|_| budget.enter(limit)).collect();
    let sent = |now| std::iter::from_fn(|| budget.admit(limit, at(now)).map(drop)).count();
    assert_eq!(sent(0), 20);
    assert_eq!(sent_again(&budget, limit, 100, 3), 20);
    // Those from before are not recent any more after ten seconds; those under way are.
    assert_eq!(sent(9), 0);
    assert_eq!(sent(19), 20);
}

#[test]
fn a_budget_is_a_share_of_calls_that_take_long() {
    let budget = Arc::new(Budget::default());
    let limit = Limit::default();
    // Too many for the reserve, and none of them is new.
    let _calls: Vec<_> = (0..16).map(|_| budget.enter(limit)).collect();
    assert!((0..10).all(|n| budget.admit(limit, at(n * 6)).is_some()));
}

#[test]
fn a_budget_has_a_reserve_for_few_calls() {
    let budget = Arc::new(Budget::default());
    let limit = Limit::default();
    assert_eq!(sent_again(&budget, limit, 100, 0), 30);
    // With another hundred it is a share.
    assert_eq!(sent_again(&budget, limit, 100, 1), 10);
    assert_eq!(sent_again(&budget, limit, 100, 6), 20);
    assert_eq!(sent_again(&budget, limit, 10, 60), 10);
    let none = Limit::Share { ratio: Fraction::per_million(200_000), min: 0 };
    let budget = Arc::new(Budget::default());
    assert_eq!(sent_again(&budget, none, 100, 0), 0);
}

#[test]
fn a_budget_of_a_chain_counts_what_is_sent_again_further_up() {
    let mut policy = Policy::new(Conditions::RESET);
    policy.of_retries = OfRetries::Once;
    let budget = Arc::new(Budget::default());
    let limit = Limit::default();
    let context = Context::new(&policy).budget(&budget, limit);
    let reset = Outcome::Failed(Failure::Reset);
    let fails = |inherited| {
        let mut retries = call(&policy, Start { inherited, ..Start::default() });
        let under_way = retries.enter(&budget, limit);
        let next = retries.after(&context, &reset, at(0), &mut rng());
        drop(under_way);
        said(&next)
    };
    let many = |calls: usize| (0..calls).filter(|_| fails(0) == "reset").count();
    assert_eq!(many(200), 40);
    // Ten that come as retries take the place of ten of these.
    assert_eq!([(); 10].map(|()| fails(1)), ["inherited"; 10]);
    assert_eq!(many(100), 10);
    // Under way they have their place, too.
    let again = call(&policy, Start { inherited: 1, ..Start::default() });
    let under_way = [(); 3].map(|()| again.enter(&budget, limit));
    assert_eq!((budget.calls(), budget.retries()), (3, 3));
    assert_eq!(fails(0), "budget");
    drop(under_way);
    assert_eq!((budget.calls(), budget.retries()), (0, 0));
}

#[test]
fn an_exhausted_budget_stops_retries() {
    let policy = Policy::new(Conditions::RESET).num_retries(5);
    let budget = Arc::new(Budget::default());
    let context = Context::new(&policy).budget(&budget, Limit::AtMost(1));
    let reset = Outcome::Failed(Failure::Reset);
    let mut first = call(&policy, Start::default());
    let held = first.after(&context, &reset, at(0), &mut rng());
    let mut second = call(&policy, Start::default());
    assert_eq!(said(&second.after(&context, &reset, at(0), &mut rng())), "budget");
    assert_eq!(second.made(), 0);
    drop(held);
    assert_eq!(said(&second.after(&context, &reset, at(0), &mut rng())), "reset");
}
