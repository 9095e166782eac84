//! Retries that leave the priorities that were asked before.

use super::kit::{Config, URI, never, script};
use crate::testing::{Mesh, Reply, Seen};

/// A mesh with an endpoint in each of so many priorities, and this policy for retries.
fn mesh(priorities: usize, policy: &str) -> Mesh {
    let route = format!("timeout: 60s, retry_policy: {{ {policy} }}");
    Config { route: &route, lower: priorities - 1, ..Config::default() }.mesh()
}

/// A policy for HTTP that leaves priorities after so many attempts.
fn leaving(update_frequency: u32, num_retries: u32) -> String {
    format!("retry_on: 5xx, num_retries: {num_retries}, {}", previous(update_frequency))
}

fn previous(update_frequency: u32) -> String {
    let config = "type.googleapis.com/envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig";
    format!(
        "retry_priority: {{ name: p, typed_config: {{ '@type': {config}, update_frequency: {update_frequency} }} }}"
    )
}

/// How many requests each endpoint has had.
fn requests<const N: usize>(mesh: &Mesh) -> [u64; N] {
    std::array::from_fn(|at| mesh.backend(&address(at)).requests())
}

fn address(priority: usize) -> String {
    format!("127.0.0.1:{}", priority + 1)
}

/// The status and the number of attempts of the only answer.
fn only(seen: &Seen) -> (u16, u32) {
    let [answer] = seen.answers() else { panic!("{seen:?}") };
    (answer.status().map_or(0, |status| status.as_u16()), answer.attempts())
}

#[tokio::test(start_paused = true)]
async fn a_retry_leaves_the_priority_that_was_asked() {
    let mesh = mesh(2, &leaving(1, 1));
    // Nobody connects to it before it is wanted.
    assert_eq!(only(&mesh.get(URI).await), (200, 1));
    assert_eq!(mesh.backend(&address(1)).connections(), 0);
    mesh.backend(&address(0)).fail_always(503);
    for _ in 0..10 {
        assert_eq!(only(&mesh.post(URI).body("content").await), (200, 2));
    }
    assert_eq!(requests(&mesh), [11, 10]);
    assert_eq!(mesh.backend(&address(1)).connections(), 1);
    // First attempts go where they went before.
    mesh.backend(&address(0)).recover();
    assert_eq!(only(&mesh.get(URI).await), (200, 1));
    assert_eq!(requests(&mesh), [12, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_stays_in_the_priority_where_nothing_is_said() {
    let mesh = mesh(2, "retry_on: 5xx");
    mesh.backend(&address(0)).fail_always(503);
    assert_eq!(only(&mesh.get(URI).await), (503, 2));
    assert_eq!(requests(&mesh), [2, 0]);
}

#[tokio::test(start_paused = true)]
async fn priorities_are_left_after_as_many_attempts_as_the_policy_says() {
    // Once all were asked, it begins anew.
    for (update_frequency, num_retries, expect) in [
        (1, 1, [1, 1, 0]),
        (1, 2, [1, 1, 1]),
        (1, 4, [2, 2, 1]),
        (2, 1, [2, 0, 0]),
        (2, 2, [2, 1, 0]),
        (2, 4, [2, 2, 1]),
        (2, 6, [3, 2, 2]),
        (9, 8, [9, 0, 0]),
    ] {
        let mesh = mesh(3, &leaving(update_frequency, num_retries));
        mesh.backend("shop").fail_always(503);
        let seen = only(&mesh.get(URI).await);
        assert_eq!((seen, requests(&mesh)), ((503, num_retries + 1), expect), "{expect:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_priority_that_cannot_be_reached_is_passed_over() {
    let mesh = mesh(3, &leaving(1, 3));
    mesh.backend("shop").fail_always(503);
    mesh.backend(&address(1)).refuse_connections();
    let seen = mesh.get(URI).await;
    assert_eq!((only(&seen), requests(&mesh)), ((503, 4), [2, 0, 2]));
    // A refusal is known at once.
    assert!(seen.elapsed().as_millis() < 1_000, "{:?}", seen.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_there_is_has_to_do_where_no_other_priority_is_left() {
    for (priorities, update_frequency) in [(1, 1), (2, 1), (2, 2)] {
        let mesh = mesh(priorities, &leaving(update_frequency, 3));
        mesh.backend("shop").fail_always(503);
        if priorities > 1 {
            mesh.backend(&address(1)).refuse_connections();
        }
        assert_eq!((only(&mesh.get(URI).await), requests(&mesh)), ((503, 4), [4]));
    }
}

#[tokio::test(start_paused = true)]
async fn grpc_calls_leave_priorities_too() {
    let mesh = mesh(2, &format!("retry_on: unavailable, {}", previous(1)));
    mesh.backend(&address(0)).fail_always(Reply::grpc(14, "no"));
    let seen = mesh.grpc("http://shop/a.B/C").await;
    assert_eq!((seen.answers()[0].attempts(), requests(&mesh)), (2, [1, 1]));
}

#[tokio::test(start_paused = true)]
async fn attempts_beside_others_leave_priorities_too() {
    let soft = "hedge_policy: { hedge_on_per_try_timeout: true }";
    let retry = format!("{}, per_try_timeout: 0.2s", leaving(1, 1));
    let route = format!("{soft}, retry_policy: {{ {retry} }}");
    let mesh = Config { route: &route, lower: 1, ..Config::default() }.mesh();
    script(&mesh.backend(&address(0)), [never()]);
    let seen = mesh.get(URI).await;
    assert_eq!((only(&seen), requests(&mesh)), ((200, 2), [1, 1]));
}
