mod attacks;
#[cfg(feature = "audit")]
mod audit;
mod begin;
mod calls;
mod filters;
mod heads;
mod http1;
mod kit;
mod lifecycle;
mod listeners;
mod paths;
mod pretence;
mod probes;
mod raw;
mod side;
mod upgrades;
