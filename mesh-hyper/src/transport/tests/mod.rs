//! Calls over an in-memory network, under a paused clock wherever time matters.

mod again;
mod aggregates;
mod asides;
mod asked;
mod back;
mod beside;
mod breakers;
mod cancel;
mod filters;
mod flow;
mod going;
mod http1;
mod kit;
mod limits;
mod outliers;
mod raw;
mod runtimes;
mod shapes;
mod times;
