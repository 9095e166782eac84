//! How soon a server that fails gets no more calls.

mod servers;

use std::time::Duration;

use mesh_core::classify::Class;
use mesh_core::matcher::Fraction;

use self::servers::{Servers, Way};
use super::chance::exponential;
use super::events::Events;
use super::figure::{Figure, Promise, Table};
use super::plot::{Axis, Curve, Plot, Scale};

pub(super) fn figure() -> Figure {
    let mut table = Table::new([
        "",
        "calls failed before it gets no more",
        "s",
        "failed of all calls, 2 minutes",
        "others sent away",
        "back after s",
    ]);
    let mut curves = Vec::new();
    let mut promises = Vec::new();
    for way in [Way::Nothing, Way::Row, Way::Rate, Way::Share, Way::Breaker] {
        let found = run(way);
        let name = way.name();
        let (calls, seconds) = found.reaction.unwrap_or((u32::MAX, f64::INFINITY));
        let reacts = found.reaction.is_some();
        let lost = 100.0 * f64::from(found.failed) / f64::from(found.made);
        let cell = |text: String| if reacts { text } else { "-".to_owned() };
        table.row([
            name.to_owned(),
            cell(calls.to_string()),
            cell(format!("{seconds:.2}")),
            format!("{lost:.2} %"),
            found.wronged.to_string(),
            cell(format!("{:.1}", found.back.unwrap_or(f64::INFINITY))),
        ]);
        match way {
            Way::Nothing => {}
            Way::Row | Way::Breaker => {
                let what = format!("failed calls before it gets no more, {name}");
                promises.push(Promise::at_most(10.0, what, calls.into()));
            }
            Way::Rate | Way::Share => {
                let what = format!("s before it gets no more, {name}");
                promises.push(Promise::at_most(10.0, what, seconds));
            }
        }
        if reacts {
            let what = format!("healthy servers sent away, {name}");
            promises.push(Promise::at_most(0.0, what, found.wronged.into()));
        }
        curves.push(Curve { name: name.to_owned(), points: found.points() });
    }
    Figure {
        name: "reaction",
        title: "A server that fails everything",
        text: TEXT,
        table,
        plot: plot(curves),
        promises,
    }
}

fn plot(curves: Vec<Curve>) -> Plot {
    Plot {
        title: "What one of 20 servers gets, which fails everything for two minutes",
        across: Axis {
            label: "s since it fails",
            ticks: (0..=6u8).map(|ticks| f64::from(ticks) * 40.0).collect(),
            scale: Scale::Even,
        },
        up: Axis {
            label: "its part of all calls, %",
            ticks: (0..=7u8).map(f64::from).collect(),
            scale: Scale::Even,
        },
        curves,
    }
}

const TEXT: &str = "\
500 calls a second to 20 servers, each in turn (`lb::Picker`), one in a hundred of which fails. After five
minutes one server fails everything, for two minutes. Sweeps come every 10 s (`outlier::Outlier`), and an
ejection lasts 30 s, times how often it was ejected before; success rates are judged by four standard
deviations, as by the 1.9 of the default healthy servers are ejected now and then. The breaker
(`breaker::Breaker`) waits 1 s before its first probe, and 30 s at the most; calls that it refuses go to the
next server.";

const BAD: u32 = 7;
const BETWEEN: Duration = Duration::from_millis(2);
const FAILS: Duration = Duration::from_secs(301);
const WELL: Duration = Duration::from_secs(421);
const END: Duration = Duration::from_secs(541);

#[derive(Debug, Default, PartialEq)]
struct Found {
    /// The calls that failed at the bad server before it was sent away, and the seconds.
    reaction: Option<(u32, f64)>,
    /// Calls while the server fails, and how many of these failed there.
    made: u32,
    failed: u32,
    /// How often another server was sent away.
    wronged: u32,
    /// The seconds from the end of the fault to the first call after it.
    back: Option<f64>,
    /// The calls of each two seconds from the beginning of the fault, and those to the bad server.
    parts: Vec<(u32, u32)>,
}

enum Event {
    Call,
    Sweep,
}

fn run(way: Way) -> Found {
    let mut events = Events::new();
    let mut servers = Servers::new(way, events.now());
    let mut found = Found::default();
    let noise = Fraction::per_million(10_000);
    events.after(BETWEEN, Event::Call);
    if let Some(due) = servers.poll_timeout() {
        events.at(due, Event::Sweep);
    }
    while let Some(event) = events.next() {
        let (now, elapsed) = (events.now(), events.elapsed());
        let sent_away = match event {
            Event::Sweep => {
                let sent_away = servers.sweep(now);
                if let Some(due) = servers.poll_timeout().filter(|_| elapsed < END) {
                    events.at(due, Event::Sweep);
                }
                sent_away
            }
            Event::Call => {
                let is_unlucky = noise.decide(&mut servers.rng);
                let is_down = (FAILS..WELL).contains(&elapsed);
                let (server, sent_away) = servers.call(now, |server| {
                    if is_unlucky || is_down && server == BAD { Class::Bad } else { Class::Good }
                });
                found.called(server == BAD, elapsed);
                let wait = exponential(BETWEEN, &mut servers.rng);
                if elapsed + wait < END {
                    events.after(wait, Event::Call);
                }
                sent_away
            }
        };
        sent_away.into_iter().for_each(|server| found.sent_away(server == BAD, elapsed));
    }
    found
}

impl Found {
    fn called(&mut self, is_bad: bool, elapsed: Duration) {
        let Some(since) = elapsed.checked_sub(FAILS) else { return };
        let index = usize::try_from(since.as_secs() / 2).unwrap_or(usize::MAX);
        if self.parts.len() <= index {
            self.parts.resize(index + 1, (0, 0));
        }
        if let Some((all, its)) = self.parts.get_mut(index) {
            *all += 1;
            *its += u32::from(is_bad);
        }
        match elapsed.checked_sub(WELL) {
            None => {
                self.made += 1;
                self.failed += u32::from(is_bad);
            }
            Some(since) if is_bad => {
                self.back.get_or_insert(since.as_secs_f64());
            }
            Some(_) => {}
        }
    }

    fn sent_away(&mut self, is_bad: bool, elapsed: Duration) {
        match elapsed.checked_sub(FAILS) {
            Some(since) if is_bad => {
                self.reaction.get_or_insert((self.failed, since.as_secs_f64()));
            }
            Some(_) | None => self.wronged += 1,
        }
    }

    /// The part of the calls that the bad server got, by the second since it fails.
    fn points(&self) -> Vec<(f64, f64)> {
        let seconds = (0..).map(|two: u8| f64::from(two) * 2.0 + 1.0);
        let parts = self.parts.iter();
        let parts = parts.map(|(all, its)| 100.0 * f64::from(*its) / f64::from(*all));
        seconds.zip(parts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_the_same_every_time() {
        let [one, other] = [(); 2].map(|()| run(Way::Row));
        assert_eq!(one, other);
    }
}
